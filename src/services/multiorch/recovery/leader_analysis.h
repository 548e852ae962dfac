// Shard-wide problems: no rule yet, no leader, a leader that resigned, broke or vanished, a shard that can't be helped.
#pragma once

#include <vector>

#include "services/multiorch/recovery/analysis_input.h"
#include "services/multiorch/recovery/problem.h"
#include "tools/result/error.h"

namespace multigres::orch {

// No cohort anywhere: can the initialized poolers satisfy the database's policy?
void AnalyseInitialization(const AnalysisInput& input, std::vector<Problem>& problems);
void AnalyseLeader(const AnalysisInput& input, std::vector<Problem>& problems);

// The poolers that a first rule would name, if they may: initialized, fresh, eligible, of one system identifier.
// FAILED_PRECONDITION with what is missing.
Result<consensus::MemberSet> InitialCohort(const AnalysisInput& input);

}  // namespace multigres::orch
