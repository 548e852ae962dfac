// Which requests a connection still owes a reply for: the client's picture of what the server does with a pipeline.
#pragma once

#include <cstdint>
#include <deque>

namespace multigres::pgclient {

// Fed with the type of each message sent and received; pure. It knows that an error makes the server drop everything up
// to the next Sync, simple queries among it, so that ReadyForQuery messages are counted right whatever was pipelined.
class Pipeline {
 public:
  // Frontend types that are answered: Q P B D E C S F. Others are ignored.
  void Sent(char type);
  // Backend types; those that answer nothing are ignored.
  void Received(char type);

  // Nothing is owed and no batch of extended messages waits for its Sync: the connection is between requests.
  bool empty() const { return requests_.empty() && !batch_open_; }
  std::size_t size() const { return requests_.size(); }
  // Extended messages were sent after the last Sync.
  bool batch_open() const { return batch_open_; }
  // How many ReadyForQuery are still to come (an upper bound while an error may yet skip simple queries).
  std::size_t syncs() const { return syncs_; }
  // The oldest request without its reply; 0 if there is none.
  char front() const { return requests_.empty() ? '\0' : requests_.front(); }

 private:
  void Pop();
  void SkipToSync();

  std::deque<char> requests_;
  std::size_t syncs_ = 0;
  bool batch_open_ = false;
  bool skipping_ = false;  // the server drops everything up to a Sync that hasn't been sent
};

}  // namespace multigres::pgclient
