#include "test/sim/judge.h"

#include "common/consensus/durability.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "test/sim/rule_judge.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
using ::multigres::consensus::CompareRules;
using ::multigres::consensus::RuleNumberText;

namespace {

const pb::RulePosition& RulesOf(const MemoryPostgres& server) {
  return server.RulesInWal();
}

}  // namespace

// Who really holds it on disk satisfies the rule that it was acknowledged under (invariants 7 and 8).
void Judge::CheckDurable(const MemoryPostgres& server, const Record& record, std::size_t length) {
  if (record.rules == nullptr) return;
  const pb::ShardRule& rule = record.rules->decision();
  if (rule.cohort_members().empty()) return;
  const auto holders = world_.Holders(length, record.id);
  const auto cohort = ::multigres::consensus::MemberSet::Of(rule.cohort_members());
  if (::multigres::consensus::Satisfies(rule.durability_policy(), holders.Intersection(cohort))) return;
  world_.trace.Violate("{} acknowledges record {} at {} by rule {}, but only [{}] of [{}] hold it", server.name(),
                       record.id, length, RuleNumberText(rule.rule_number()), holders.Text(), cohort.Text());
}

void Judge::OnAcknowledged(const MemoryPostgres& server, const Record& record, std::size_t length) {
  CheckDurable(server, record, length);
  acknowledged_.push_back({record.id, length, world_.Holders(length, record.id)});
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
  // What admitted it has been acknowledged: the decision that ended its promotion, or a new process's confirmation
  // (ha.md, 6.3). Decisions of later changes of the cohort say so themselves (OnDecided): one that was given up for a
  // recruitment may be in the leader's own WAL alone, and the leader serves on by the rule before it. That was decided,
  // and the new one was proposed to both cohorts: a commit that is acknowledged on top carries the decision along, and
  // a successor that lacks it carries the proposal over.
  for (std::size_t length = server.wal().size(); length > 0; --length) {
    const Record& record = server.wal()[length - 1];
    const bool promotion = record.kind == Record::Kind::kDecision && record.rules != nullptr &&
                           record.rules->decision().rule_number().leader_subterm() == 0;
    if (!promotion && record.kind != Record::Kind::kConfirmation) continue;
    CheckDurable(server, record, length);
    acknowledged_.push_back({record.id, length, world_.Holders(length, record.id)});
    break;
  }
}

void Judge::OnDecided(const MemoryPostgres& server, const pb::RuleNumber& number) {
  for (std::size_t length = server.wal().size(); length > 0; --length) {
    const Record& record = server.wal()[length - 1];
    if (record.kind != Record::Kind::kDecision) continue;
    if (::multigres::consensus::SameNumber(record.rules->decision().rule_number(), number)) {
      OnAcknowledged(server, record, length);
    }
    return;
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
  if (promise != nullptr && Binds(*promise, rules)) {
    world_.trace.Violate("{} takes a write by rule {}, which it has promised away for term {}", server.name(),
                         ::multigres::consensus::RulePositionText(rules), promise->revoked_below_term());
  }
}

// It votes with all that it has ever helped to acknowledge, however its WAL was replaced meanwhile (invariant 7).
void Judge::OnRecruited(const MemoryPostgres& server) {
  for (const Acknowledged& write : acknowledged_) {
    if (!write.holders.Contains(server.name()) || server.wal().Holds(write.length, write.id)) continue;
    world_.trace.Violate("{} is recruited without record {} at {}, which it had when that was acknowledged",
                         server.name(), write.id, write.length);
    return;
  }
}

}  // namespace multigres::sim
