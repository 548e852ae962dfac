// A stream of changes of one key or one directory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/async/cancel_token.h"
#include "tools/async/queue.h"
#include "tools/result/error.h"

namespace multigres::topo {

using Version = std::int64_t;  // etcd's ModRevision; grows with every change of the store

enum class WatchScope : std::uint8_t { kKey, kDirectory };

struct WatchEvent {
  std::string path;  // relative to the connection's root
  std::string contents;
  Version version = 0;
  // kNoNode: `path` was deleted. Anything else: the watch is over (kInterrupted = cancelled).
  std::optional<Error> error;
};

// Values may repeat or be skipped, but the final one arrives. Of a key: its deletion ends the watch; of a directory:
// deletions are events like others. After the end the consumer opens a new watch and reconciles with its snapshot.
// Destroying it cancels it. One reactor.
class Watch {
 public:
  // What a backend keeps to feed the watch.
  struct Feed {
    Queue<WatchEvent> events;
    CancelToken cancel;
    // Delivers the last event.
    void End(Error error);
  };

  Watch(std::vector<WatchEvent> initial, std::shared_ptr<Feed> feed)
      : initial_(std::move(initial)), feed_(std::move(feed)) {}
  ~Watch() { Cancel(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // The state as of the start: the key's value, or every key below the directory (perhaps none).
  const std::vector<WatchEvent>& initial() const { return initial_; }
  // The next event; nothing once the last one (see WatchEvent::error) has been given out.
  Awaitable<std::optional<WatchEvent>> Next();
  // A kInterrupted event ends the watch.
  void Cancel();

 private:
  std::vector<WatchEvent> initial_;
  std::shared_ptr<Feed> feed_;
};

}  // namespace multigres::topo
