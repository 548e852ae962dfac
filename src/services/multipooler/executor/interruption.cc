#include "services/multipooler/executor/interruption.h"

#include "common/mterrors/conditions.h"

namespace multigres::pooler::executor {

Error NotCancelledInTime() {
  return mterrors::OutcomeUnknown("the statement could not be cancelled in time");
}

Interruption::Interruption(pgclient::Connection& connection, TaskGroup& tasks, queryservice::CallScope scope)
    : connection_(connection), tasks_(tasks) {
  if (!scope.deadline.IsNever()) {
    timer_ =
        connection.reactor().clock().ScheduleAt(scope.deadline.at(), [this] { Interrupt(CancelReason::kDeadline); });
  }
  if (scope.cancel != nullptr) {
    cancelled_ = scope.cancel->OnCancel([this](CancelReason reason) { Interrupt(reason); });
  }
}

void Interruption::Interrupt(CancelReason reason) {
  if (reason_ != CancelReason::kNone) return;
  reason_ = reason;
  asked_ = std::make_shared<Event>();
  Reactor& reactor = connection_.reactor();
  timer_ = reactor.clock().Schedule(kPatience, [this] { unanswered_.Cancel(reason_); });
  tasks_.Spawn("cancel copy", Ask(reactor, connection_.cancel_target(), asked_));
}

Awaitable<void> Interruption::Ask(Reactor& reactor, pgclient::CancelTarget target, std::shared_ptr<Event> asked) {
  // What fails here shows as a COPY that doesn't end.
  (void)co_await pgclient::CancelQuery(reactor, std::move(target), reactor.clock().After(kPatience));
  asked->Set();
}

Awaitable<bool> Interruption::Settle() {
  cancelled_.Reset();
  timer_ = Timer();
  if (asked_ == nullptr) co_return true;
  Clock& clock = connection_.reactor().clock();
  co_return co_await asked_->WaitUntil(clock, clock.After(kPatience));
}

}  // namespace multigres::pooler::executor
