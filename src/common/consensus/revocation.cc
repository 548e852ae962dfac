#include "common/consensus/revocation.h"

#include "clustermetadata.pb.h"
#include "common/consensus/lsn.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/safety.h"

namespace multigres::consensus {
namespace {

Result<> CheckComplete(const TermRevocation& revocation) {
  const ID& coordinator = revocation.accepted_coordinator_id();
  if (coordinator.cell().empty() || coordinator.name().empty()) {
    return Fail(Code::kFailedPrecondition, "revocation names no coordinator");
  }
  if (!revocation.has_coordinator_initiated_at()) {
    return Fail(Code::kFailedPrecondition, "revocation has no initiation time");
  }
  if (!revocation.has_outgoing_rule()) return Fail(Code::kFailedPrecondition, "revocation names no outgoing rule");
  if (revocation.outgoing_rule().coordinator_term() >= revocation.revoked_below_term()) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("revocation below term {} doesn't cover its outgoing rule {}",
                            revocation.revoked_below_term(), RuleNumberText(revocation.outgoing_rule())));
  }
  return {};
}

Result<> CheckAgainstStored(const TermRevocation& stored, const TermRevocation& incoming) {
  if (stored.revoked_below_term() > incoming.revoked_below_term() && Enforced(SafetyRule::kTermsCompared)) {
    return Fail(Code::kFailedPrecondition, fmt::format("already promised term {}, which is above term {}",
                                                       stored.revoked_below_term(), incoming.revoked_below_term()));
  }
  if (stored.revoked_below_term() == incoming.revoked_below_term() && !SameAttempt(stored, incoming) &&
      Enforced(SafetyRule::kOneCoordinatorPerTerm)) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("term {} is already promised to another attempt, of coordinator {}",
                            stored.revoked_below_term(), MemberText(stored.accepted_coordinator_id())));
  }
  return {};
}

}  // namespace

bool IsSet(const TermRevocation& revocation) {
  return revocation.revoked_below_term() > 0;
}

bool SameAttempt(const TermRevocation& a, const TermRevocation& b) {
  return a.revoked_below_term() == b.revoked_below_term() &&
         SameMember(a.accepted_coordinator_id(), b.accepted_coordinator_id()) &&
         a.coordinator_initiated_at().seconds() == b.coordinator_initiated_at().seconds() &&
         a.coordinator_initiated_at().nanos() == b.coordinator_initiated_at().nanos();
}

bool IsRuleRevoked(const RulePosition& position, const TermRevocation* revocation) {
  if (revocation == nullptr || !IsSet(*revocation) || !revocation->has_outgoing_rule()) return false;
  const RuleNumber& decision = position.decision().rule_number();
  const bool counts = HasProposal(position) && Enforced(SafetyRule::kProposalTermsCount);
  const std::int64_t proposal_term = counts ? position.proposal().rule_number().coordinator_term() : 0;
  const std::int64_t term = revocation->revoked_below_term();
  if (decision.coordinator_term() >= term || proposal_term >= term) return false;
  if (proposal_term > decision.coordinator_term()) return true;
  return !(Compare(decision, revocation->outgoing_rule()) > 0);
}

bool IsFloorOutstanding(const PoolerPosition& own, const LsnPosition* recruit_floor) {
  if (recruit_floor == nullptr || !Enforced(SafetyRule::kFloor)) return false;
  if (!LsnOrLowest(recruit_floor->lsn())) return true;
  return ComparePositions(Numbers(own), *recruit_floor) < 0;
}

LsnPosition RaiseFloor(const PoolerPosition& own, const LsnPosition* recruit_floor) {
  return IsFloorOutstanding(own, recruit_floor) ? *recruit_floor : Numbers(own);
}

Result<> ValidateRevocation(const PoolerPosition& own, const TermRevocation* stored, const LsnPosition* recruit_floor,
                            const TermRevocation& incoming) {
  auto complete = CheckComplete(incoming);
  if (!complete) return complete;
  if (!LsnOrLowest(own.lsn())) {
    return Fail(Code::kFailedPrecondition, fmt::format("own WAL position '{}' is unknown", own.lsn()));
  }
  if (!IsRuleRevoked(own.position(), &incoming) && Enforced(SafetyRule::kOwnRuleRevoked)) {
    return Fail(Code::kFailedPrecondition, fmt::format("own rule {} is not revoked below term {} with outgoing rule {}",
                                                       RulePositionText(own.position()), incoming.revoked_below_term(),
                                                       RuleNumberText(incoming.outgoing_rule())));
  }
  if (IsFloorOutstanding(own, recruit_floor)) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("recruitment blocked until rule {} at {} is reached",
                            RuleNumberText(recruit_floor->position().decision()), recruit_floor->lsn()));
  }
  if (stored == nullptr || !IsSet(*stored)) return {};
  return CheckAgainstStored(*stored, incoming);
}

TermRevocation MergePromise(const TermRevocation* stored, const TermRevocation& incoming) {
  TermRevocation merged = incoming;
  const bool grow = Enforced(SafetyRule::kPromisesOnlyGrow);
  if (grow && stored != nullptr && IsSet(*stored) && Compare(stored->outgoing_rule(), incoming.outgoing_rule()) > 0) {
    *merged.mutable_outgoing_rule() = stored->outgoing_rule();
  }
  return merged;
}

}  // namespace multigres::consensus
