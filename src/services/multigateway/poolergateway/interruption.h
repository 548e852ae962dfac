// How a statement under way is cancelled: so that its answer still comes.
#pragma once

#include <memory>

#include "common/queryservice/query_service.h"
#include "tools/async/task_group.h"

namespace multigres::rpc {
class Channel;
class ClientCall;
}  // namespace multigres::rpc

namespace multigres::gateway::poolergateway {

// Watches a call's scope. When that ends (a cancel request, statement_timeout) the pooler is told to cancel the
// statement, and the call goes on until PostgreSQL has said what became of it: cancelled, completed all the same, or
// committed without certainty. If that takes longer than kPatience, or the pooler can't be told, the call is cut off.
class Interruption {
 public:
  // PostgreSQL is asked, and its answer awaited for 2 s, by the pooler.
  static constexpr Duration kPatience = std::chrono::seconds(3);

  // All must outlive it. `tasks` sends what the pooler is told. Begin only once the request has been written.
  // `awaits_answer` false: what the call does cannot commit yet, so it is cut off at once.
  Interruption(rpc::Channel& channel, rpc::ClientCall& call, TaskGroup& tasks, const queryservice::CallScope& scope,
               std::uint32_t client_connection_id, bool awaits_answer = true);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // From now on it may commit. To be called only while the scope hasn't ended.
  void AwaitAnswer() { awaits_answer_ = true; }
  // Why the scope ended; kNone while it hasn't.
  CancelReason reason() const { return reason_; }
  // The call was cut off without the answer that mattered.
  bool unanswered() const { return awaits_answer_ && state_ != nullptr && state_->cut_off; }

 private:
  struct State {
    rpc::ClientCall* call;  // null once it is over
    bool cut_off = false;
    void CutOff();
  };
  void Interrupt(CancelReason reason);
  static Awaitable<void> Tell(rpc::Channel& channel, std::shared_ptr<State> state, std::uint32_t client_connection_id,
                              bool timed_out);

  rpc::Channel& channel_;
  rpc::ClientCall& call_;
  TaskGroup& tasks_;
  const std::uint32_t client_connection_id_;
  bool awaits_answer_;
  CancelReason reason_ = CancelReason::kNone;
  std::shared_ptr<State> state_;  // from the interruption on
  Timer timer_;                   // of the scope's deadline, then of our patience
  CancelToken::Subscription cancelled_;
};

}  // namespace multigres::gateway::poolergateway
