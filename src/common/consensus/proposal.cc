#include "common/consensus/proposal.h"

#include "common/consensus/durability.h"
#include "common/consensus/equivocation.h"
#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/safety.h"
#include "common/consensus/transition.h"
#include "common/consensus/wall_time.h"

namespace multigres::consensus {
namespace {

using ::consensusdata::CoordinatorProposal;
using Recruits = std::vector<const Candidate*>;

const RulePosition& RulesOf(const Candidate& candidate) {
  return candidate.status.current_position().position();
}

bool ReportsPosition(const Candidate& candidate) {
  return !IsNoRule(RulesOf(candidate).decision().rule_number()) &&
         LsnOrLowest(candidate.status.current_position().lsn()).has_value();
}

bool Promised(const Candidate& candidate, const TermRevocation& revocation) {
  const TermRevocation& promise = candidate.status.term_revocation();
  return promise.revoked_below_term() == revocation.revoked_below_term() &&
         SameMember(promise.accepted_coordinator_id(), revocation.accepted_coordinator_id());
}

Recruits Usable(const TermRevocation& revocation, std::span<const Candidate> recruits) {
  Recruits usable;
  MemberSet seen;
  for (const Candidate& recruit : recruits) {
    const std::string member = MemberText(recruit.status.id());
    if (!ReportsPosition(recruit) || !Promised(recruit, revocation) || seen.Contains(member)) continue;
    seen.Insert(member);
    usable.push_back(&recruit);
  }
  return usable;
}

MemberSet MembersOf(const Recruits& recruits) {
  MemberSet members;
  for (const Candidate* recruit : recruits) members.Insert(MemberText(recruit->status.id()));
  return members;
}

// The recruits' most advanced rules, if they are what the revocation was made for and nobody equivocates.
Result<const RulePosition*> AgreedRules(const TermRevocation& revocation, const Recruits& recruits) {
  std::vector<const RulePosition*> positions;
  for (const Candidate* recruit : recruits) positions.push_back(&RulesOf(*recruit));
  const RulePosition* best = MostAdvanced(positions);
  if (best == nullptr) return Fail(Code::kFailedPrecondition, "recruitment insufficient: nobody recruited");
  auto content = CheckEquivocation(positions);
  if (!content) return std::unexpected(std::move(content.error()));
  auto order = Compare(HighestRuleNumber(*best), revocation.outgoing_rule());
  if (order == 0 || !Enforced(SafetyRule::kOutgoingRuleAgreed)) return best;
  const std::string text =
      fmt::format("recruits are at rule {}, term {} was started from rule {}", RulePositionText(*best),
                  revocation.revoked_below_term(), RuleNumberText(revocation.outgoing_rule()));
  return Fail(order > 0 ? Code::kAborted : Code::kFailedPrecondition, text);
}

Result<> CheckQuorums(const RulePosition& rules, const MemberSet& members) {
  const ShardRule& rule = HighestRule(rules);
  const MemberSet cohort = MemberSet::Of(rule.cohort_members());
  auto feasible = CheckFeasible(rule.durability_policy(), cohort, members);
  if (!feasible || !HasProposal(rules) || rules.decision().cohort_members().empty()) return feasible;
  if (!Enforced(SafetyRule::kDecisionsCohort)) return feasible;
  return CheckRecruitment(rules.decision().durability_policy(), MemberSet::Of(rules.decision().cohort_members()),
                          members);
}

const Candidate* BestLeader(const Recruits& recruits) {
  const Candidate* best = nullptr;
  for (const Candidate* recruit : recruits) {
    if (best == nullptr || IsBetterLeader(*recruit, *best)) best = recruit;
  }
  return best;
}

// A member whose own WAL names itself leader follows another only after a rewind, which waits for that one's promotion.
bool FollowsAtOnce(const Candidate& candidate) {
  return !SameMember(HighestRule(RulesOf(candidate)).leader_id(), candidate.status.id());
}

// Would the leader's first write be acknowledged by those recruits that can follow it right away?
bool CanActAtOnce(const Candidate& leader, const AckRequirement& first_write, const Recruits& recruits) {
  auto standbys = SyncStandbysFor(first_write.policy, first_write.cohort, MemberText(leader.status.id()));
  if (!standbys) return false;
  const MemberSet names(standbys->names);
  int ackers = 0;
  for (const Candidate* recruit : recruits) {
    if (recruit == &leader || !FollowsAtOnce(*recruit)) continue;
    if (names.Contains(MemberText(recruit->status.id()))) ++ackers;
  }
  return ackers >= standbys->num_sync;
}

// The best of the recruits; of those at the most advanced position only such as can act at once, if there is one. (With
// a cohort of two that is the leader of before: the other one would wait for it, and it for the other.)
const Candidate* LeaderOf(const Recruits& recruits, const AckRequirement& first_write, const Recruits& voting) {
  const Candidate* best = BestLeader(recruits);
  if (best == nullptr) return nullptr;
  Recruits able;
  for (const Candidate* recruit : recruits) {
    const bool level = ComparePositions(recruit->status.current_position(), best->status.current_position()) == 0;
    if (level && CanActAtOnce(*recruit, first_write, voting)) able.push_back(recruit);
  }
  return able.empty() ? best : BestLeader(able);
}

CoordinatorProposal MakeProposal(const TermRevocation& revocation, const RulePosition& rules, const ShardRule& content,
                                 const Candidate& leader, WallTime now) {
  CoordinatorProposal proposal;
  *proposal.mutable_term_revocation() = revocation;
  *proposal.mutable_proposal_leader() = leader.address;
  *proposal.mutable_proposal_leader()->mutable_id() = leader.status.id();
  *proposal.mutable_proposed_transition()->mutable_decision() = rules.decision();
  ShardRule& rule = *proposal.mutable_proposed_transition()->mutable_proposal();
  rule = content;
  *rule.mutable_rule_number() = MakeRuleNumber(revocation.revoked_below_term(), 0);
  *rule.mutable_leader_id() = leader.status.id();
  *rule.mutable_coordinator_id() = revocation.accepted_coordinator_id();
  if (!rule.has_creation_time()) {
    *rule.mutable_creation_time() = ToTimestamp(std::chrono::floor<std::chrono::microseconds>(now));
  }
  return proposal;
}

Result<const Candidate*> CertifiedLeader(const ExternallyCertifiedRevocation& certificate, const ShardRule& incoming,
                                         const Recruits& recruits) {
  const MemberSet cohort = MemberSet::Of(incoming.cohort_members());
  Recruits eligible;
  for (const Candidate* recruit : recruits) {
    const ID& id = recruit->status.id();
    const bool named = !incoming.has_leader_id() || SameMember(incoming.leader_id(), id);
    if (named && cohort.Contains(id)) eligible.push_back(recruit);
  }
  const Candidate* leader = BestLeader(eligible);
  if (leader == nullptr)
    return Fail(Code::kFailedPrecondition, "recruitment insufficient: no leader among the recruits");
  auto frozen = ParseLsn(certificate.frozen_lsn());
  if (!frozen) return Fail(std::move(frozen), "certificate's frozen_lsn");
  if (LsnOrLowest(leader->status.current_position().lsn()) < std::optional<Lsn>(*frozen)) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("leader {} is at {}, before the certified {}", MemberText(leader->status.id()),
                            leader->status.current_position().lsn(), certificate.frozen_lsn()));
  }
  return leader;
}

bool WouldAccept(const Candidate& candidate) {
  const PoolerPosition& own = candidate.status.current_position();
  const LsnPosition* floor =
      candidate.status.has_recruit_blocked_until() ? &candidate.status.recruit_blocked_until() : nullptr;
  return candidate.reachable && ReportsPosition(candidate) && !IsFloorOutstanding(own, floor);
}

}  // namespace

const RulePosition* MostAdvancedRules(std::span<const Candidate> candidates) {
  const RulePosition* best = nullptr;
  for (const Candidate& candidate : candidates) {
    const RulePosition& rules = RulesOf(candidate);
    if (IsNoRule(rules.decision().rule_number())) continue;
    if (best == nullptr || CompareRules(rules, *best) > 0) best = &rules;
  }
  return best;
}

std::int64_t NewTerm(std::span<const Candidate> candidates) {
  std::int64_t highest = 0;
  auto add_rules = [&highest](const RulePosition& rules) {
    highest = std::max({highest, rules.decision().rule_number().coordinator_term(),
                        rules.proposal().rule_number().coordinator_term()});
  };
  for (const Candidate& candidate : candidates) {
    highest = std::max(highest, candidate.status.term_revocation().revoked_below_term());
    add_rules(RulesOf(candidate));
    add_rules(candidate.status.replication_primary().position());
  }
  return highest + 1;
}

Result<TermRevocation> MakeRevocation(std::span<const Candidate> candidates, const ID& coordinator, WallTime now) {
  std::vector<Candidate> accepting;
  std::ranges::copy_if(candidates, std::back_inserter(accepting), WouldAccept);
  const RulePosition* rules = MostAdvancedRules(accepting);
  if (rules == nullptr) return Fail(Code::kFailedPrecondition, "recruitment insufficient: no member would accept");
  TermRevocation revocation;
  revocation.set_revoked_below_term(NewTerm(candidates));
  *revocation.mutable_accepted_coordinator_id() = coordinator;
  *revocation.mutable_coordinator_initiated_at() = ToTimestamp(now);
  *revocation.mutable_outgoing_rule() = HighestRuleNumber(*rules);
  return revocation;
}

Result<CoordinatorProposal> BuildProposal(const TermRevocation& revocation, std::span<const Candidate> recruits,
                                          WallTime now) {
  const Recruits usable = Usable(revocation, recruits);
  auto agreed = AgreedRules(revocation, usable);
  if (!agreed) return std::unexpected(std::move(agreed.error()));
  const RulePosition& rules = **agreed;
  auto quorums = CheckQuorums(rules, MembersOf(usable));
  if (!quorums) return std::unexpected(std::move(quorums.error()));

  ShardRule outgoing = Enforced(SafetyRule::kCarriedOver) ? HighestRule(rules) : rules.decision();
  outgoing.clear_creation_time();
  const MemberSet cohort = MemberSet::Of(outgoing.cohort_members());
  const MemberSet voters = [&] {
    MemberSet all = cohort;
    for (const ID& id : rules.decision().cohort_members()) all.Insert(MemberText(id));
    return all;
  }();
  // A member of the decided cohort alone may hold acknowledged WAL that the proposed cohort lacks: it must not be
  // passed over, nor can it lead a cohort that it isn't in.
  Recruits voting;
  std::ranges::copy_if(usable, std::back_inserter(voting),
                       [&](const Candidate* recruit) { return voters.Contains(recruit->status.id()); });
  Recruits members;
  std::ranges::copy_if(voting, std::back_inserter(members),
                       [&](const Candidate* recruit) { return cohort.Contains(recruit->status.id()); });
  const ShardRule& decided = HasProposal(rules) ? rules.decision() : outgoing;
  auto first_write = BothRequirement(decided, outgoing);
  if (!first_write) return std::unexpected(std::move(first_write.error()));
  const Candidate* leader = LeaderOf(members, *first_write, voting);
  const Candidate* ahead = BestLeader(voting);
  if (ComparePositions(ahead->status.current_position(), leader->status.current_position()) > 0) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("recruitment insufficient: {} is ahead of every recruited member of cohort [{}]",
                            MemberText(ahead->status.id()), cohort.Text()));
  }
  CoordinatorProposal proposal = MakeProposal(revocation, rules, outgoing, *leader, now);
  const RulePosition& transition = proposal.proposed_transition();
  auto both = BothSyncStandbys(decided, transition.proposal());
  if (!both) return std::unexpected(std::move(both.error()));
  return proposal;
}

Result<CoordinatorProposal> BuildCertifiedProposal(const ExternallyCertifiedRevocation& certificate,
                                                   const ShardRule& incoming, std::span<const Candidate> recruits,
                                                   WallTime now) {
  const TermRevocation& revocation = certificate.term_revocation();
  const Recruits usable = Usable(revocation, recruits);
  auto agreed = AgreedRules(revocation, usable);
  if (!agreed) return std::unexpected(std::move(agreed.error()));
  const MemberSet cohort = MemberSet::Of(incoming.cohort_members());
  auto feasible = CheckFeasible(incoming.durability_policy(), cohort, MembersOf(usable));
  if (!feasible) return std::unexpected(std::move(feasible.error()));
  auto leader = CertifiedLeader(certificate, incoming, usable);
  if (!leader) return std::unexpected(std::move(leader.error()));
  CoordinatorProposal proposal = MakeProposal(revocation, **agreed, incoming, **leader, now);
  proposal.set_skip_outgoing_quorum(true);
  auto standbys = IncomingSyncStandbys(proposal.proposed_transition().proposal());
  if (!standbys) return std::unexpected(std::move(standbys.error()));
  return proposal;
}

bool IsBetterLeader(const Candidate& a, const Candidate& b) {
  auto order = ComparePositions(a.status.current_position(), b.status.current_position());
  if (order != 0 && Enforced(SafetyRule::kMostAdvancedLeads)) return order > 0;
  if (a.resigning != b.resigning) return !a.resigning;
  if (a.failover_slots_ready != b.failover_slots_ready) return a.failover_slots_ready > b.failover_slots_ready;
  return MemberText(a.status.id()) < MemberText(b.status.id());
}

Result<CoordinatorProposal> Plan(std::span<const Candidate> cached, const ID& coordinator, WallTime now) {
  auto revocation = MakeRevocation(cached, coordinator, now);
  if (!revocation) return std::unexpected(std::move(revocation.error()));
  std::vector<Candidate> accepting;
  std::ranges::copy_if(cached, std::back_inserter(accepting), WouldAccept);
  for (Candidate& candidate : accepting) *candidate.status.mutable_term_revocation() = *revocation;
  return BuildProposal(*revocation, accepting, now);
}

bool MustBackOff(std::span<const Candidate> cached, const ID& coordinator, Duration window) {
  const RulePosition* rules = MostAdvancedRules(cached);
  const std::int64_t settled = rules == nullptr ? 0 : HighestRuleNumber(*rules).coordinator_term();
  return std::ranges::any_of(cached, [&](const Candidate& candidate) {
    const TermRevocation& promise = candidate.status.term_revocation();
    const bool open = promise.revoked_below_term() > settled;
    return open && !SameMember(promise.accepted_coordinator_id(), coordinator) && candidate.promise_age < window;
  });
}

}  // namespace multigres::consensus
