#include "common/consensus/routing_role.h"

#include "clustermetadata.pb.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/rule_number.h"

namespace multigres::consensus {

bool IsActiveLeader(const ID& self, const RulePosition& own, const TermRevocation* revocation,
                    const RulePosition* highest_known) {
  if (IsNoRule(own.decision().rule_number()) || !SameMember(own.decision().leader_id(), self)) return false;
  if (HasProposal(own) && !SameMember(own.proposal().leader_id(), self)) return false;
  if (IsRuleRevoked(own, revocation)) return false;
  if (highest_known == nullptr || CompareRules(*highest_known, own) <= 0) return true;
  return SameMember(HighestRule(*highest_known).leader_id(), self);
}

Role RoutingRole(const ID& self, const RulePosition& own, const TermRevocation* revocation,
                 const RulePosition* highest_known, bool out_of_recovery) {
  return out_of_recovery && IsActiveLeader(self, own, revocation, highest_known) ? Role::kPrimary : Role::kReplica;
}

}  // namespace multigres::consensus
