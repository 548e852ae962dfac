// The statements that one reactor of a pooler runs, so that a session's can be found and cancelled.
#pragma once

#include <cstdint>

#include "tools/async/cancel_token.h"

namespace multigres::pooler::grpcpoolerservice {

// Entered and left by every call: two pointers each, no allocation. Cancels are rare and look through all of them.
class RunningStatements {
 public:
  class Entry {
   public:
    // `call` is the RPC's own token: its end is this one's too. Both must outlive the entry.
    Entry(RunningStatements& running, std::uint32_t client_connection_id, CancelToken& call);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    CancelToken& cancel() { return cancel_; }

   private:
    friend class RunningStatements;
    RunningStatements& running_;
    const std::uint32_t client_connection_id_;
    CancelToken cancel_;
    CancelToken::Subscription call_;
    Entry* previous_ = nullptr;
    Entry* next_ = nullptr;
  };

  // False if the session (0 = nobody's) runs nothing here.
  bool Cancel(std::uint32_t client_connection_id, CancelReason reason);

 private:
  Entry* first_ = nullptr;
};

}  // namespace multigres::pooler::grpcpoolerservice
