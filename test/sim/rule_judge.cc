#include "test/sim/rule_judge.h"

#include "common/consensus/durability.h"
#include "common/consensus/equivocation.h"
#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
using ::multigres::consensus::CompareRules;
using ::multigres::consensus::HasProposal;
using ::multigres::consensus::HighestRule;
using ::multigres::consensus::MemberSet;
using ::multigres::consensus::MemberText;
using ::multigres::consensus::RuleNumberText;
using ::multigres::consensus::RulePositionText;
using ::multigres::consensus::SameNumber;

namespace {

std::string AttemptOf(const pb::TermRevocation& promise) {
  return fmt::format("{} {}.{}", MemberText(promise.accepted_coordinator_id()),
                     promise.coordinator_initiated_at().seconds(), promise.coordinator_initiated_at().nanos());
}

// Those recruited are a majority, and those that aren't couldn't acknowledge anything by themselves. (3)
bool MayElect(const pb::ShardRule& rule, const MemberSet& recruits) {
  const auto cohort = MemberSet::Of(rule.cohort_members());
  const MemberSet members = recruits.Intersection(cohort);
  return members.size() * 2 > cohort.size() &&
         !::multigres::consensus::Satisfies(rule.durability_policy(), cohort.Minus(members));
}

bool SameCohort(const pb::ShardRule& a, const pb::ShardRule& b) {
  return MemberSet::Of(a.cohort_members()) == MemberSet::Of(b.cohort_members());
}

}  // namespace

bool Binds(const pb::TermRevocation& promise, const pb::RulePosition& rules) {
  const std::int64_t term = promise.revoked_below_term();
  const pb::RuleNumber& decision = rules.decision().rule_number();
  const std::int64_t proposed = HasProposal(rules) ? rules.proposal().rule_number().coordinator_term() : 0;
  if (decision.coordinator_term() >= term || proposed >= term) return false;
  if (proposed > decision.coordinator_term()) return true;
  return ::multigres::consensus::Compare(decision, promise.outgoing_rule()) <= 0;
}

// A promise is never taken back, and a term belongs to one attempt (invariant 3).
void RuleJudge::CheckTerms(const std::string& member, const pb::TermRevocation& promise) {
  auto at = promised_.find(member);
  if (at == promised_.end()) return;
  const pb::TermRevocation& before = at->second.promise;
  const std::int64_t term = promise.revoked_below_term();
  if (term < before.revoked_below_term()) {
    world_.trace.Violate("{} promises term {} after term {}", member, term, before.revoked_below_term());
  } else if (term == before.revoked_below_term() && AttemptOf(promise) != at->second.attempt) {
    world_.trace.Violate("{} promises term {} to {} and to {}", member, term, at->second.attempt, AttemptOf(promise));
  } else if (::multigres::consensus::Compare(promise.outgoing_rule(), before.outgoing_rule()) < 0) {
    world_.trace.Violate("{} promises term {} against rule {} only, after term {} against {}", member, term,
                         RuleNumberText(promise.outgoing_rule()), before.revoked_below_term(),
                         RuleNumberText(before.outgoing_rule()));
  }
}

// Who is recruited takes no part any more and tells all that it has (6.1).
void RuleJudge::OnRecruited(const MemoryPostgres& server, const pb::ConsensusStatus& answer) {
  const std::string& member = server.name();
  const pb::TermRevocation& promise = answer.term_revocation();
  const std::int64_t term = promise.revoked_below_term();
  world_.trace.Note("{} promises term {} to {} (outgoing {})", member, term, AttemptOf(promise),
                    RuleNumberText(promise.outgoing_rule()));
  CheckTerms(member, promise);
  promised_[member] = {.promise = promise, .attempt = AttemptOf(promise)};
  if (server.running() && !server.in_recovery()) {
    world_.trace.Violate("{} promises term {} and runs as a primary", member, term);
  }
  const pb::RulePosition& rules = server.RulesInWal();
  if (!Binds(promise, rules)) {
    world_.trace.Violate("{} promises term {} to no effect: its rule is {}", member, term, RulePositionText(rules));
  }
  const auto& told = answer.current_position();
  if (CompareRules(told.position(), rules) < 0) {
    world_.trace.Violate("{} is recruited with rule {}, but its WAL holds {}", member,
                         RulePositionText(told.position()), RulePositionText(rules));
  }
  const auto lsn = ::multigres::consensus::LsnOrLowest(told.lsn());
  if (!lsn || LengthAt(*lsn) < server.disk().flushed) {
    world_.trace.Violate("{} is recruited at {}, but has {} records", member, told.lsn(), server.disk().flushed);
  }
}

void RuleJudge::OnReportedPromise(const std::string& member, const pb::TermRevocation& promise) {
  auto at = promised_.find(member);
  if (at == promised_.end()) return;
  const std::int64_t term = at->second.promise.revoked_below_term();
  if (promise.revoked_below_term() >= term) return;
  world_.trace.Violate("{} has forgotten its promise of term {}: it knows {}", member, term,
                       promise.revoked_below_term());
}

void RuleJudge::OnRuleChanged(const pb::RuleNumber& expected, const pb::RuleNumber& decided) {
  if (decided.coordinator_term() == expected.coordinator_term() &&
      decided.leader_subterm() == expected.leader_subterm() + 1) {
    return;
  }
  world_.trace.Violate("a change of rule {} has become rule {}", RuleNumberText(expected), RuleNumberText(decided));
}

// One content for each number (invariants 2 and 5).
void RuleJudge::CheckContent(const pb::ShardRule& rule) {
  const auto& number = rule.rule_number();
  auto [at, fresh] = contents_.try_emplace({number.coordinator_term(), number.leader_subterm()}, rule);
  if (fresh || ::multigres::consensus::SameContent(at->second, rule)) return;
  world_.trace.Violate("rule {} exists twice: leaders {} and {}", RuleNumberText(number),
                       MemberText(at->second.leader_id()), MemberText(rule.leader_id()));
}

void RuleJudge::CheckNewest(const MemoryPostgres& server) {
  const pb::RulePosition& rules = server.RulesInWal();
  if (!seen_.emplace(&rules, true).second) return;
  CheckContent(rules.decision());
  if (HasProposal(rules)) CheckContent(rules.proposal());
  // Whoever writes it is seen first.
  if (server.in_recovery()) return;
  for (std::size_t length = server.wal().size(); length > 1; --length) {
    const Rules& before = server.wal()[length - 2].rules;
    if (before == nullptr) return;
    if (before.get() == &rules) continue;
    return CheckChange(server, length);
  }
}

// `length` - 1 is where the rules change.
void RuleJudge::CheckChange(const MemoryPostgres& server, std::size_t length) {
  const pb::RulePosition& before = *server.wal()[length - 2].rules;
  const pb::RulePosition& rules = *server.wal()[length - 1].rules;
  if (!HasProposal(rules)) return CheckProposalHeld(server, length, before);
  const pb::ShardRule& rule = rules.proposal();
  if (!SameNumber(before.decision().rule_number(), rules.decision().rule_number())) {
    world_.trace.Violate("{} proposes rule {} and decides {} with it", server.name(),
                         RuleNumberText(rule.rule_number()), RuleNumberText(rules.decision().rule_number()));
  }
  if (rule.rule_number().leader_subterm() == 0 && !before.decision().cohort_members().empty()) {
    CheckMandate(server, before, rule);
  }
}

// A new term stands on promises that bind a sufficient recruitment of the rule before it, and, if that was open, of the
// decision, too; it takes its cohort and policy from there (6.2, 6.3).
void RuleJudge::CheckMandate(const MemoryPostgres& server, const pb::RulePosition& before, const pb::ShardRule& rule) {
  const std::int64_t term = rule.rule_number().coordinator_term();
  MemberSet bound;
  for (const auto& [member, promised] : promised_) {
    const std::int64_t own = promised.promise.revoked_below_term();
    if (own > term || (own == term && Binds(promised.promise, before))) bound.Insert(member);
  }
  if (!MayElect(before.decision(), bound) || (HasProposal(before) && !MayElect(before.proposal(), bound))) {
    world_.trace.Violate("{} proposes rule {} after {}, though only [{}] are bound by their promises", server.name(),
                         RuleNumberText(rule.rule_number()), RulePositionText(before), bound.Text());
  }
  // The newest rule may be one that only a recruit outside of the cohort has received.
  const auto brings = [&](const auto& server) {
    return bound.Contains(server.first) && SameCohort(HighestRule(server.second->RulesInWal()), rule) &&
           CompareRules(server.second->RulesInWal(), before) > 0 &&
           !SameNumber(HighestRule(server.second->RulesInWal()).rule_number(), rule.rule_number());
  };
  if (!SameCohort(HighestRule(before), rule) && std::ranges::none_of(world_.servers, brings)) {
    world_.trace.Violate("{} proposes rule {} with another cohort than {}", server.name(),
                         RuleNumberText(rule.rule_number()), RulePositionText(before));
  }
}

// A proposal is decided once those that it needs hold it (6.3).
void RuleJudge::CheckProposalHeld(const MemoryPostgres& server, std::size_t length, const pb::RulePosition& before) {
  if (!HasProposal(before)) return;
  for (std::size_t end = length - 1; end > 0; --end) {
    const Record& record = server.wal()[end - 1];
    if (record.kind != Record::Kind::kProposal) continue;
    const MemberSet holders = world_.Holders(end, record.id);
    const auto held_by = [&holders](const pb::ShardRule& rule) {
      const auto cohort = MemberSet::Of(rule.cohort_members());
      return cohort.empty() ||
             ::multigres::consensus::Satisfies(rule.durability_policy(), holders.Intersection(cohort));
    };
    if (held_by(before.decision()) && held_by(before.proposal())) return;
    world_.trace.Violate("{} decides rule {}, though only [{}] hold its proposal", server.name(),
                         RuleNumberText(before.proposal().rule_number()), holders.Text());
    return;
  }
}

// Who has promised itself to a later term follows no leader of an earlier one, unless its rule frees it (4). A primary
// that has made that promise, too, has been promoted since.
void RuleJudge::CheckStreams(const MemoryPostgres& server) {
  const MemoryPostgres* source = server.source();
  if (source == nullptr || source->in_recovery()) return;
  auto at = promised_.find(server.name());
  if (at == promised_.end()) return;
  const pb::TermRevocation& promise = at->second.promise;
  auto leader = promised_.find(source->name());
  const bool newer =
      leader != promised_.end() && leader->second.promise.revoked_below_term() >= promise.revoked_below_term();
  // A decision above the promise's outgoing rule proves that the attempt is over, whatever its leader proposes next.
  pb::RulePosition decided;
  *decided.mutable_decision() = source->RulesInWal().decision();
  if (newer || !Binds(promise, source->RulesInWal()) || !Binds(promise, decided)) return;
  world_.trace.Violate("{} has promised term {} and streams from {}, rule {}", server.name(),
                       promise.revoked_below_term(), source->name(), RulePositionText(source->RulesInWal()));
}

void RuleJudge::OnStep() {
  for (const auto& [name, server] : world_.servers) {
    CheckNewest(*server);
    CheckStreams(*server);
  }
}

}  // namespace multigres::sim
