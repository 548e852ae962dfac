#include "services/multiorch/recovery/shard_facts.h"

#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/routing_role.h"
#include "common/consensus/rule_number.h"

namespace multigres::orch {
namespace {

using ::clustermetadata::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION;
using ::clustermetadata::ReplicationPrimary;
using ::clustermetadata::RulePosition;

const ::clustermetadata::TermRevocation* PromiseOf(const PoolerView& pooler) {
  return pooler.consensus().has_term_revocation() ? &pooler.consensus().term_revocation() : nullptr;
}

}  // namespace

const ::clustermetadata::ShardRule& ShardFacts::rule() const {
  return consensus::HighestRule(rules);
}

ShardFacts Examine(const ShardView& view) {
  ShardFacts facts;
  auto consider = [&facts](const RulePosition& rules) {
    if (consensus::CompareRules(rules, facts.rules) > 0) facts.rules = rules;
  };
  for (const PoolerView& pooler : view.poolers) {
    consider(pooler.rules());
    consider(pooler.consensus().replication_primary().position());
  }
  facts.cohort = consensus::MemberSet::Of(facts.rule().cohort_members());
  if (facts.rule().has_leader_id() && !facts.rule().leader_id().name().empty()) {
    facts.leader = consensus::MemberText(facts.rule().leader_id());
    facts.leader_pooler = view.Find(facts.leader);
  }
  return facts;
}

bool IsFresh(const PoolerView& pooler, const Moment& now, const Thresholds& thresholds) {
  return !pooler.tombstoned && pooler.stream_connected && pooler.last_heard &&
         now.steady - *pooler.last_heard <= thresholds.Stale();
}

bool IsIneligible(const PoolerView& pooler) {
  return pooler.availability().cohort_eligibility_status().signal() ==
         ::clustermetadata::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE;
}

bool IsRunningAsPrimary(const PoolerView& pooler) {
  return pooler.postgres().postgres_ready() &&
         pooler.postgres().postgres_status() == ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY;
}

bool IsServingLeader(const ShardFacts& facts, const PoolerView& pooler) {
  return facts.leader_pooler == &pooler && IsRunningAsPrimary(pooler) &&
         consensus::IsActiveLeader(pooler.record->id(), pooler.rules(), PromiseOf(pooler), &facts.rules);
}

bool IsResigning(const ShardFacts& facts, const PoolerView& pooler) {
  if (pooler.tombstoned || IsIneligible(pooler)) return true;
  const auto& leadership = pooler.availability().leadership_status();
  return leadership.signal() == LEADERSHIP_SIGNAL_REQUESTING_DEMOTION &&
         leadership.leader_term() == facts.rule().rule_number().coordinator_term();
}

bool IsStreaming(const PoolerView& pooler) {
  return pooler.postgres().replication_status().wal_receiver_status() == "streaming";
}

bool IsResponsive(const PoolerView& pooler, const Moment& now, const Thresholds& thresholds) {
  return IsFresh(pooler, now, thresholds) && now.steady - *pooler.last_heard <= thresholds.Unheard() &&
         pooler.answer_stall.value_or(Duration::zero()) < thresholds.stall;
}

bool IsPromptStandby(const PoolerView& pooler, const Moment& now, const Thresholds& thresholds) {
  return IsResponsive(pooler, now, thresholds) && pooler.postgres().postgres_ready() && !IsRunningAsPrimary(pooler);
}

bool IsSelfRevoked(const ShardFacts& facts, const PoolerView& pooler) {
  return consensus::IsRuleRevoked(facts.rules, PromiseOf(pooler));
}

std::vector<consensus::Candidate> CandidatesOf(const ShardView& view, const ShardFacts& facts, const Moment& now,
                                               const Thresholds& thresholds) {
  std::vector<consensus::Candidate> candidates;
  for (const PoolerView& pooler : view.poolers) {
    if (pooler.status == nullptr || IsIneligible(pooler) || pooler.tombstoned) continue;
    consensus::Candidate candidate;
    candidate.status = pooler.consensus();
    *candidate.status.mutable_id() = pooler.record->id();
    candidate.address = pooler.Address();
    candidate.reachable = IsFresh(pooler, now, thresholds);
    candidate.resigning = IsResigning(facts, pooler);
    if (pooler.promise_since) candidate.promise_age = now.steady - *pooler.promise_since;
    candidate.failover_slots_ready = pooler.postgres().failover_slots_ready();
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

ReplicationPrimary ReplicationTarget(const ShardFacts& facts) {
  ReplicationPrimary target;
  if (facts.leader_pooler == nullptr) return target;
  *target.mutable_position() = facts.rules;
  *target.mutable_primary() = facts.leader_pooler->Address();
  const ReplicationPrimary& own = facts.leader_pooler->consensus().replication_primary();
  target.set_rewind_ready(own.rewind_ready() && consensus::SameMember(own.primary().id(), target.primary().id()) &&
                          own.position().decision().rule_number().coordinator_term() ==
                              facts.rules.decision().rule_number().coordinator_term() &&
                          IsRunningAsPrimary(*facts.leader_pooler));
  return target;
}

bool NeedsSetPrimary(const PoolerView& pooler, const ReplicationPrimary& target) {
  if (!target.has_primary() || consensus::SameMember(pooler.record->id(), target.primary().id())) return false;
  if (target.primary().host().empty() || target.primary().postgres_port() == 0) return false;
  if (consensus::IsRuleRevoked(target.position(), PromiseOf(pooler))) return false;
  const ReplicationPrimary& known = pooler.consensus().replication_primary();
  const auto order = consensus::CompareRules(known.position(), target.position());
  if (order != 0) return order < 0;
  return !consensus::SameMember(known.primary().id(), target.primary().id()) ||
         known.primary().host() != target.primary().host() ||
         known.primary().postgres_port() != target.primary().postgres_port() ||
         (target.rewind_ready() && !known.rewind_ready());
}

}  // namespace multigres::orch
