#include "test/sim/judge.h"

#include "common/consensus/equivocation.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/transition.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
using ::multigres::consensus::CompareRules;
using ::multigres::consensus::HasProposal;
using ::multigres::consensus::MemberText;
using ::multigres::consensus::RuleNumberText;

namespace {

const pb::RulePosition& RulesOf(const MemoryPostgres& server) {
  static const pb::RulePosition kNone;
  const Record* last = server.wal().last();
  return last == nullptr || last->rules == nullptr ? kNone : *last->rules;
}

std::string AttemptOf(const pb::TermRevocation& revocation) {
  return fmt::format("{} {}.{}", MemberText(revocation.accepted_coordinator_id()),
                     revocation.coordinator_initiated_at().seconds(), revocation.coordinator_initiated_at().nanos());
}

}  // namespace

// Who really holds it on disk satisfies the rule that it was acknowledged under (invariants 7 and 8).
void Judge::CheckDurable(const MemoryPostgres& server, const Record& record, std::size_t length) {
  if (record.rules == nullptr) return;
  const pb::ShardRule& rule = record.rules->decision();
  if (rule.cohort_members().empty()) return;
  ::multigres::consensus::MemberSet holders;
  for (const auto& [name, other] : world_.servers) {
    if (other->disk().flushed >= length && other->wal().Holds(length, record.id)) holders.Insert(name);
  }
  const auto cohort = ::multigres::consensus::MemberSet::Of(rule.cohort_members());
  if (::multigres::consensus::Satisfies(rule.durability_policy(), holders.Intersection(cohort))) return;
  world_.trace.Violate("{} acknowledges record {} at {} by rule {}, but only [{}] of [{}] hold it", server.name(),
                       record.id, length, RuleNumberText(rule.rule_number()), holders.Text(), cohort.Text());
}

void Judge::OnAcknowledged(const MemoryPostgres& server, const Record& record, std::size_t length) {
  CheckDurable(server, record, length);
  acknowledged_.push_back({record.id, length});
  if (top_ == nullptr || top_ == &server || top_->wal().Holds(length, record.id)) return;
  if (CompareRules(*top_rules_, RulesOf(server)) <= 0) return;
  world_.trace.Violate("{} acknowledges record {} at {} after {} led by {} without it", server.name(), record.id,
                       length, top_->name(), ::multigres::consensus::RulePositionText(*top_rules_));
}

void Judge::CheckComplete(const MemoryPostgres& server, std::string_view occasion) {
  for (const Acknowledged& write : acknowledged_) {
    if (server.wal().Holds(write.length, write.id)) continue;
    world_.trace.Violate("{}: record {} at {} was acknowledged, but {} ({}, {} records) lacks it", occasion, write.id,
                         write.length, server.name(), ::multigres::consensus::RulePositionText(RulesOf(server)),
                         server.wal().size());
    return;
  }
}

void Judge::OnServing(const MemoryPostgres& server, bool serving) {
  world_.trace.Note("{} {}", server.name(), serving ? "admits writes" : "admits no writes any more");
  if (!serving) {
    serving_.erase(server.name());
    return;
  }
  const pb::RulePosition& rules = RulesOf(server);
  for (const auto& [member, other] : serving_) {
    const auto& number = RulesOf(*other).decision().rule_number();
    if (other != &server && other->Accepting() && !other->in_recovery() &&
        ::multigres::consensus::SameNumber(number, rules.decision().rule_number())) {
      world_.trace.Violate("{} and {} both lead by rule {}", server.name(), member, RuleNumberText(number));
    }
  }
  serving_[server.name()] = &server;
  if (top_rules_ != nullptr && CompareRules(rules, *top_rules_) < 0) return;
  top_ = &server;
  top_rules_ = server.wal().last()->rules;
  CheckComplete(server, "new leader");
  // Whoever serves has seen its decision acknowledged.
  for (std::size_t length = server.wal().size(); length > 0; --length) {
    const Record& record = server.wal()[length - 1];
    if (record.kind != Record::Kind::kDecision) continue;
    acknowledged_.push_back({record.id, length});
    break;
  }
}

// Writes are admitted by a PRIMARY alone (invariants 4 and 9).
void Judge::OnWrite(const MemoryPostgres& server, const pb::ID& self, const pb::TermRevocation* promise) {
  const pb::RulePosition& rules = RulesOf(server);
  const bool leads = ::multigres::consensus::SameMember(rules.decision().leader_id(), self);
  if (!leads) {
    world_.trace.Violate("{} takes a write, but its decided rule is {}", server.name(),
                         ::multigres::consensus::RulePositionText(rules));
  }
  if (::multigres::consensus::IsRuleRevoked(rules, promise)) {
    world_.trace.Violate("{} takes a write by rule {}, which it has promised away for term {}", server.name(),
                         ::multigres::consensus::RulePositionText(rules), promise->revoked_below_term());
  }
}

// A promise is never taken back, and a term belongs to one attempt (invariant 3).
void Judge::OnRecruited(const std::string& member, const pb::TermRevocation& revocation) {
  world_.trace.Note("{} promises term {} to {} (outgoing {})", member, revocation.revoked_below_term(),
                    AttemptOf(revocation), RuleNumberText(revocation.outgoing_rule()));
  Promised& promised = promised_[member];
  const std::int64_t term = revocation.revoked_below_term();
  if (term < promised.term) {
    world_.trace.Violate("{} promises term {} after term {}", member, term, promised.term);
  } else if (term == promised.term && AttemptOf(revocation) != promised.attempt) {
    world_.trace.Violate("{} promises term {} to {} and to {}", member, term, promised.attempt, AttemptOf(revocation));
  }
  promised = {.term = term, .attempt = AttemptOf(revocation)};
}

void Judge::OnReportedPromise(const std::string& member, const pb::TermRevocation& revocation) {
  auto at = promised_.find(member);
  if (at == promised_.end() || revocation.revoked_below_term() >= at->second.term) return;
  world_.trace.Violate("{} has forgotten its promise of term {}: it knows {}", member, at->second.term,
                       revocation.revoked_below_term());
}

// One content for each number (invariants 2 and 5).
void Judge::CheckRule(const pb::ShardRule& rule) {
  const auto& number = rule.rule_number();
  auto [at, fresh] = rules_.try_emplace({number.coordinator_term(), number.leader_subterm()}, rule);
  if (fresh || ::multigres::consensus::SameContent(at->second, rule)) return;
  world_.trace.Violate("rule {} exists twice: leaders {} and {}", RuleNumberText(number),
                       MemberText(at->second.leader_id()), MemberText(rule.leader_id()));
}

void Judge::CheckWal(const MemoryPostgres& server) {
  const pb::RulePosition& rules = RulesOf(server);
  if (!seen_rules_.emplace(&rules, true).second) return;
  CheckRule(rules.decision());
  if (HasProposal(rules)) CheckRule(rules.proposal());
}

void Judge::OnStep() {
  for (const auto& [name, server] : world_.servers) CheckWal(*server);
}

}  // namespace multigres::sim
