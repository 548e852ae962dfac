// Problems of single poolers, to be dealt with while a leader serves.
#pragma once

#include <vector>

#include "services/multiorch/recovery/leader_analysis.h"

namespace multigres::orch {

void AnalyseFollowers(const AnalysisInput& input, std::vector<Problem>& problems);

}  // namespace multigres::orch
