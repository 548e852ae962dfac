#include "services/multiorch/recovery/analysis_input.h"

#include "common/consensus/rule_number.h"

namespace multigres::orch {

bool RuleIsYounger(const AnalysisInput& input, Duration age) {
  const bool known = consensus::SameNumber(input.view.known_rule, input.facts.rule().rule_number());
  return !known || input.now.steady - input.view.rule_known_since < age;
}

bool PromiseIsAbandoned(const AnalysisInput& input, const PoolerView& pooler) {
  return pooler.promise_since && input.now.steady - *pooler.promise_since > input.thresholds.abandoned_recruit;
}

Duration WatchedFor(const AnalysisInput& input) {
  TimePoint since = input.now.steady;
  for (const PoolerView& pooler : input.view.poolers) since = std::min(since, pooler.known_since);
  return input.now.steady - since;
}

}  // namespace multigres::orch
