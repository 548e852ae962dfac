#include "services/multiorch/recovery/analysis_input.h"

#include "common/consensus/rule_number.h"
#include "common/consensus/wall_time.h"

namespace multigres::orch {

bool RuleIsYounger(const AnalysisInput& input, Duration age) {
  const bool known = consensus::SameNumber(input.view.known_rule, input.facts.rule().rule_number());
  return !known || input.now.steady - input.view.rule_known_since < age;
}

bool PromiseIsAbandoned(const AnalysisInput& input, const PoolerView& pooler) {
  const auto& promise = pooler.consensus().term_revocation();
  const Duration age = input.now.wall - consensus::FromTimestamp(promise.coordinator_initiated_at());
  return age > input.thresholds.abandoned_recruit || age < -input.thresholds.abandoned_recruit;
}

Duration WatchedFor(const AnalysisInput& input) {
  TimePoint since = input.now.steady;
  for (const PoolerView& pooler : input.view.poolers) since = std::min(since, pooler.known_since);
  return input.now.steady - since;
}

}  // namespace multigres::orch
