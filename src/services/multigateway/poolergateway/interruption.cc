#include "services/multigateway/poolergateway/interruption.h"

#include "common/rpc/channel.h"
#include "statementcontrol.pb.h"

namespace multigres::gateway::poolergateway {

namespace {
constexpr std::string_view kCancelStatement = "/statementcontrol.StatementControl/CancelStatement";
}  // namespace

Interruption::Interruption(rpc::Channel& channel, rpc::ClientCall& call, TaskGroup& tasks,
                           const queryservice::CallScope& scope, std::uint32_t client_connection_id, bool awaits_answer)
    : channel_(channel),
      call_(call),
      tasks_(tasks),
      client_connection_id_(client_connection_id),
      awaits_answer_(awaits_answer) {
  if (!scope.deadline.IsNever()) {
    timer_ = channel.reactor().clock().ScheduleAt(scope.deadline.at(), [this] { Interrupt(CancelReason::kDeadline); });
  }
  if (scope.cancel != nullptr) {
    cancelled_ = scope.cancel->OnCancel([this](CancelReason reason) { Interrupt(reason); });
  }
}

Interruption::~Interruption() {
  if (state_ != nullptr) state_->call = nullptr;
}

void Interruption::State::CutOff() {
  if (call == nullptr) return;
  cut_off = true;
  call->Cancel();
}

void Interruption::Interrupt(CancelReason reason) {
  if (reason_ != CancelReason::kNone) return;
  reason_ = reason;
  state_ = std::make_shared<State>(&call_);
  // A statement that hasn't left, or a process that is leaving, waits for nobody.
  if (!awaits_answer_ || !channel_.IsReady() || reason == CancelReason::kShutdown) {
    timer_ = Timer();
    return state_->CutOff();
  }
  timer_ = channel_.reactor().clock().Schedule(kPatience, [state = state_] { state->CutOff(); });
  tasks_.Spawn("cancel statement", Tell(channel_, state_, client_connection_id_, reason == CancelReason::kDeadline));
}

Awaitable<void> Interruption::Tell(rpc::Channel& channel, std::shared_ptr<State> state,
                                   std::uint32_t client_connection_id, bool timed_out) {
  statementcontrol::CancelStatementRequest request;
  request.set_client_connection_id(client_connection_id);
  request.set_timed_out(timed_out);
  statementcontrol::CancelStatementResponse response;
  auto told = co_await rpc::CallUnary(channel, kCancelStatement, request, response,
                                      {.deadline = channel.reactor().clock().After(kPatience)});
  if (!told) state->CutOff();
}

}  // namespace multigres::gateway::poolergateway
