// Problems of single poolers, to be dealt with while a leader serves.
#pragma once

#include <string>
#include <vector>

#include "services/multiorch/recovery/analysis_input.h"
#include "services/multiorch/recovery/problem.h"

namespace multigres::orch {

// Why a standby doesn't replicate from this leader as it should; empty if it does, or might in a moment.
std::string NotReplicating(const PoolerView& leader, const PoolerView& pooler, const Thresholds& thresholds);

void AnalyseFollowers(const AnalysisInput& input, std::vector<Problem>& problems);

}  // namespace multigres::orch
