// Records of poolers that were shut down stay in the topology for a day, for whoever looks, and are deleted then.
#pragma once

#include "common/topoclient/store.h"
#include "services/multiorch/watch_targets.h"

namespace multigres::orch {

inline constexpr Duration kKeepShutdownRecords = std::chrono::hours(24);

// Deletes the watched poolers' records that have said LIFECYCLE_SHUTDOWN for longer than that. Each only in the version
// that was looked at: a pooler that comes back keeps its new one. Returns how many.
Awaitable<Result<int>> DeleteOldShutdownRecords(topo::Store& store, const WatchTargets& targets, Deadline deadline);

}  // namespace multigres::orch
