// Shard-wide problems: no rule yet, no leader, a leader that resigned, broke or vanished, a shard that can't be helped.
#pragma once

#include <vector>

#include "services/multiorch/recovery/problem.h"
#include "services/multiorch/recovery/shard_facts.h"

namespace multigres::orch {

struct AnalysisInput {
  const ShardView& view;
  const ShardFacts& facts;
  const Moment& now;
  const ::clustermetadata::ID& self;  // the orchestrator
  const Thresholds& thresholds;
};

// No cohort anywhere: can the initialized poolers satisfy the database's policy?
void AnalyseInitialization(const AnalysisInput& input, std::vector<Problem>& problems);
void AnalyseLeader(const AnalysisInput& input, std::vector<Problem>& problems);

// The rule in force was made less than `age` ago. Clocks may differ, so a rule from the far future doesn't count.
bool RuleIsYounger(const AnalysisInput& input, Duration age);

// How long this orchestrator has known of any pooler of the shard: what it hasn't found yet may still turn up.
Duration WatchedFor(const AnalysisInput& input);

// The poolers that a first rule would name, if they may: initialized, fresh, eligible, of one system identifier.
// FAILED_PRECONDITION with what is missing.
Result<consensus::MemberSet> InitialCohort(const AnalysisInput& input);

}  // namespace multigres::orch
