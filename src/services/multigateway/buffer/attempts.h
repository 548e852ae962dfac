// The tries of one request: which failures are followed by another, and after what wait.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "services/multigateway/buffer/failover_buffer.h"

namespace multigres::gateway::buffer {

// When may a request be sent again?
enum class Replay : std::uint8_t {
  kIfUnexecuted,  // an error that proves that it wasn't executed
  // ... or, while nothing of it has reached the client, a lost connection: whatever it did was in a transaction that
  // nobody is left to commit (the first statement after a deferred BEGIN).
  kIfUncommitted,
  kAlways,  // ... or any lost connection: it changes nothing (Describe, credentials)
  // It runs on the session's own backend: only at once, and only if it never left this process.
  kIfUnsent,
};

struct RequestTraits {
  std::string_view database, table_group, shard;  // of the target; must outlive the attempts
  bool primary = true;                            // others are never held back
  bool reserves = false;                          // asks for a backend of its own
  Replay replay = Replay::kIfUnexecuted;
};

// A request without a leader waits in the failover buffer and is tried again. If its shard is said then to have no
// leader after all (the word that ended the wait was the last one of a leader whose server was gone already), it waits
// on, in its old place and within the same window. After any other failure, and where a wait can't help, growing pauses
// lie between up to six tries, 3.1 s together: a channel that is being redialled needs some of it.
class Attempts {
 public:
  static constexpr int kMaxPauses = 5;

  // `buffer` and what the traits refer to outlive it. `client_gone` as for FailoverBuffer::Wait().
  Attempts(FailoverBuffer& buffer, Clock& clock, RequestTraits traits, queryservice::CallScope scope,
           std::function<bool()> client_gone)
      : buffer_(buffer), clock_(clock), traits_(traits), scope_(scope), client_gone_(std::move(client_gone)) {}

  // Must Begin() be awaited before the first try? (A request that reserves joins a shard that buffers already.)
  bool MustWaitFirst() const;
  Awaitable<Result<>> Begin();

  // After a try that failed: true = once more. Otherwise the request has failed with `error`, which may have become one
  // of the wait's: MTB01 to MTB03, 57014. `delivered`: its client has seen something of it. `replay_safe_read_only`:
  // asked about an error of code READ_ONLY.
  Awaitable<bool> Again(Error& error, bool delivered, std::function<bool()> replay_safe_read_only = {});

 private:
  bool MayFollow(const Error& error, bool delivered, const std::function<bool()>& replay_safe_read_only) const;
  Awaitable<Result<FailoverBuffer::Outcome>> WaitForLeader();
  Awaitable<bool> Pause(Error& error);

  FailoverBuffer& buffer_;
  Clock& clock_;
  RequestTraits traits_;
  queryservice::CallScope scope_;
  std::function<bool()> client_gone_;
  FailoverBuffer::Turn turn_;
  std::optional<TimePoint> waiting_since_;  // the first wait's begin
  bool tried_ = false;
  int pauses_ = 0;
};

}  // namespace multigres::gateway::buffer
