#include "common/consensus/equivocation.h"

#include "clustermetadata.pb.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"

namespace multigres::consensus {

bool SameContent(const ShardRule& a, const ShardRule& b) {
  return SameMember(a.leader_id(), b.leader_id()) &&
         MemberSet::Of(a.cohort_members()) == MemberSet::Of(b.cohort_members()) &&
         a.durability_policy().quorum_type() == b.durability_policy().quorum_type() &&
         a.durability_policy().required_count() == b.durability_policy().required_count();
}

Result<> CheckEquivocation(std::span<const RulePosition* const> positions) {
  std::map<std::pair<std::int64_t, std::int64_t>, const ShardRule*> seen;
  for (const RulePosition* position : positions) {
    for (const ShardRule* rule : {&position->decision(), &position->proposal()}) {
      const RuleNumber& number = rule->rule_number();
      if (IsNoRule(number)) continue;
      auto [at, fresh] = seen.try_emplace({number.coordinator_term(), number.leader_subterm()}, rule);
      if (fresh || SameContent(*at->second, *rule)) continue;
      return Fail(Code::kDataLoss,
                  fmt::format("equivocation: rule {} has two contents (leader {}, cohort {}; leader {}, "
                              "cohort {})",
                              RuleNumberText(number), MemberText(at->second->leader_id()),
                              MemberSet::Of(at->second->cohort_members()).Text(), MemberText(rule->leader_id()),
                              MemberSet::Of(rule->cohort_members()).Text()));
    }
  }
  return {};
}

}  // namespace multigres::consensus
