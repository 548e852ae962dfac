#include "services/multipooler/manager/serving_control.h"

namespace multigres::pooler::manager {

Awaitable<void> ServingControl::Set(ServingState state) {
  auto lock = co_await mutex_.Lock(reactor_.clock(), Deadline::Never(), "serving state");
  if (state_ == state) co_return;
  state_ = state;
  if (state.status != ServingStatus::kServing) board_.Publish(state);
  co_await data_path_.Apply(state);
  board_.Publish(state);
}

Awaitable<DataPath::DrainResult> ServingControl::Drain(ServingState state, Deadline deadline) {
  auto lock = co_await mutex_.Lock(reactor_.clock(), Deadline::Never(), "drain");
  state_ = state;
  board_.Publish(state);
  co_return co_await data_path_.Drain(state, deadline);
}

Awaitable<void> ServingControl::Reopen() {
  auto lock = co_await mutex_.Lock(reactor_.clock(), Deadline::Never(), "reopen");
  co_await data_path_.Reopen();
}

}  // namespace multigres::pooler::manager
