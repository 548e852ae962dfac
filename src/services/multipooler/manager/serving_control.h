// Carries a serving state to the data path and to whoever listens, in the order that keeps promises: what is published
// as serving is served, and what is no longer served was announced before.
#pragma once

#include "services/multipooler/manager/serving.h"
#include "tools/async/mutex.h"

namespace multigres::pooler::manager {

class ServingControl {
 public:
  ServingControl(Reactor& reactor, DataPath& data_path) : reactor_(reactor), data_path_(data_path) {}

  ServingBoard& board() { return board_; }
  const ServingState& state() const { return state_; }

  // Admits by `state` from now on. Nothing happens if it is the state already.
  Awaitable<void> Set(ServingState state);
  // Announces `state` (not kServing), and drains until the deadline; what is left then is killed.
  Awaitable<DataPath::DrainResult> Drain(ServingState state, Deadline deadline);
  Awaitable<void> Reopen();

 private:
  Reactor& reactor_;
  DataPath& data_path_;
  ServingBoard board_;
  ServingState state_;
  Mutex mutex_;
};

}  // namespace multigres::pooler::manager
