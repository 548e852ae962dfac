// From a shard's view to its problems, and from problems to what is done about them now. Pure: no clock, no I/O.
#pragma once

#include <vector>

#include "services/multiorch/health/shard_view.h"
#include "services/multiorch/recovery/problem.h"
#include "services/multiorch/recovery/shard_facts.h"

namespace multigres::orch {

// All problems, most urgent first.
std::vector<Problem> Analyse(const ShardView& view, const Moment& now, const ::clustermetadata::ID& self,
                             const Thresholds& thresholds = {});

// The most urgent actionable shard-wide problem alone; without one, the most urgent actionable one of each pooler (at
// most one removal from the cohort, since each changes what the next may do).
std::vector<Problem> Decide(const std::vector<Problem>& problems);

}  // namespace multigres::orch
