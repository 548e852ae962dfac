// The metrics of one multiorch, read when they are asked for.
#pragma once

#include <vector>

#include "services/multiorch/recovery/engine.h"
#include "tools/metrics/metrics.h"

namespace multigres::orch {

// Drop the handles before engine and board. Failovers are counted as the engine reports them; `metrics` must outlive
// it.
std::vector<Metrics::Observer> ObserveOrch(Metrics& metrics, Engine& engine, const HealthBoard& board);

}  // namespace multigres::orch
