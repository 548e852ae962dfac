#include "common/consensus/rule_number.h"

#include "clustermetadata.pb.h"

namespace multigres::consensus {

RuleNumber MakeRuleNumber(std::int64_t coordinator_term, std::int64_t leader_subterm) {
  RuleNumber number;
  number.set_coordinator_term(coordinator_term);
  number.set_leader_subterm(leader_subterm);
  return number;
}

std::strong_ordering Compare(const RuleNumber& a, const RuleNumber& b) {
  auto order = a.coordinator_term() <=> b.coordinator_term();
  return order != 0 ? order : a.leader_subterm() <=> b.leader_subterm();
}

bool SameNumber(const RuleNumber& a, const RuleNumber& b) {
  return Compare(a, b) == 0;
}

bool IsNoRule(const RuleNumber& number) {
  return number.coordinator_term() == 0 && number.leader_subterm() == 0;
}

std::string RuleNumberText(const RuleNumber& number) {
  return fmt::format("{}.{}", number.coordinator_term(), number.leader_subterm());
}

}  // namespace multigres::consensus
