#include "common/consensus/transition.h"

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/safety.h"

namespace multigres::consensus {
namespace {

AckRequirement RequirementOf(const ShardRule& rule) {
  return {rule.durability_policy(), MemberSet::Of(rule.cohort_members())};
}

}  // namespace

Result<AckRequirement> BothRequirement(const ShardRule& outgoing, const ShardRule& incoming) {
  AckRequirement from = RequirementOf(outgoing);
  AckRequirement to = RequirementOf(incoming);
  if (from.cohort.empty() || !Enforced(SafetyRule::kBothAcknowledge)) return to;
  const bool same_type = from.policy.quorum_type() == to.policy.quorum_type();
  const bool same_count = from.policy.required_count() == to.policy.required_count();
  if (same_type && same_count) {
    if (to.cohort.IsSubsetOf(from.cohort)) return to;
    if (from.cohort.IsSubsetOf(to.cohort)) return from;
  }
  if (same_type && from.cohort == to.cohort) {
    return from.policy.required_count() > to.policy.required_count() ? from : to;
  }
  return Fail(Code::kFailedPrecondition,
              fmt::format("no single acknowledgement satisfies both rule {} ({} of [{}]) and rule {} ({} of [{}])",
                          RuleNumberText(outgoing.rule_number()), PolicyText(from.policy), from.cohort.Text(),
                          RuleNumberText(incoming.rule_number()), PolicyText(to.policy), to.cohort.Text()));
}

AckRequirement IncomingRequirement(const ShardRule& incoming) {
  return RequirementOf(incoming);
}

Result<SyncStandbys> BothSyncStandbys(const ShardRule& outgoing, const ShardRule& incoming) {
  auto both = BothRequirement(outgoing, incoming);
  if (!both) return std::unexpected(std::move(both.error()));
  return SyncStandbysFor(both->policy, both->cohort, MemberText(incoming.leader_id()));
}

Result<SyncStandbys> IncomingSyncStandbys(const ShardRule& incoming) {
  AckRequirement requirement = IncomingRequirement(incoming);
  return SyncStandbysFor(requirement.policy, requirement.cohort, MemberText(incoming.leader_id()));
}

Result<SyncStandbys> SyncStandbysFor(const RulePosition& position, std::string_view leader) {
  AckRequirement requirement = IncomingRequirement(position.decision());
  if (HasProposal(position)) {
    auto both = BothRequirement(position.decision(), position.proposal());
    if (!both) return std::unexpected(std::move(both.error()));
    requirement = std::move(*both);
  }
  return SyncStandbysFor(requirement.policy, requirement.cohort, leader);
}

}  // namespace multigres::consensus
