// Short ways to write rules, positions and candidates down, for tests of this module and of its users.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "clustermetadata.pb.h"
#include "common/consensus/durability.h"
#include "common/consensus/member.h"
#include "common/consensus/proposal.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/wall_time.h"

namespace multigres::consensus::testing {

inline constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};

inline ID Member(std::string_view text) {
  return *ParseMember(text);
}

inline ID Coordinator(std::string name) {
  ID id;
  id.set_component(ID::MULTIORCH);
  id.set_cell("zone1");
  id.set_name(std::move(name));
  return id;
}

using Members = std::initializer_list<std::string_view>;

inline MemberSet Set(Members members) {
  MemberSet set;
  for (std::string_view member : members) set.Insert(std::string(member));
  return set;
}

inline ShardRule Rule(std::int64_t term, std::int64_t subterm, std::string_view leader, Members cohort,
                      const DurabilityPolicy& policy = AtLeast(2)) {
  ShardRule rule;
  *rule.mutable_rule_number() = MakeRuleNumber(term, subterm);
  if (!leader.empty()) *rule.mutable_leader_id() = Member(leader);
  for (std::string_view member : cohort) *rule.add_cohort_members() = Member(member);
  *rule.mutable_durability_policy() = policy;
  return rule;
}

inline RulePosition Decided(const ShardRule& decision) {
  RulePosition rules;
  *rules.mutable_decision() = decision;
  return rules;
}

inline RulePosition Undecided(const ShardRule& decision, const ShardRule& proposal) {
  RulePosition rules = Decided(decision);
  *rules.mutable_proposal() = proposal;
  return rules;
}

inline PoolerPosition At(const RulePosition& rules, std::string lsn) {
  PoolerPosition position;
  *position.mutable_position() = rules;
  position.set_lsn(std::move(lsn));
  return position;
}

inline TermRevocation Promise(std::int64_t term, std::int64_t outgoing_term, std::int64_t outgoing_subterm,
                              std::string coordinator = "x", WallTime initiated_at = kNow) {
  TermRevocation promise;
  promise.set_revoked_below_term(term);
  *promise.mutable_accepted_coordinator_id() = Coordinator(std::move(coordinator));
  *promise.mutable_coordinator_initiated_at() = ToTimestamp(initiated_at);
  *promise.mutable_outgoing_rule() = MakeRuleNumber(outgoing_term, outgoing_subterm);
  return promise;
}

inline Candidate MakeCandidate(std::string_view member, const PoolerPosition& position,
                               const TermRevocation& promise = {}) {
  Candidate candidate;
  *candidate.status.mutable_id() = Member(member);
  *candidate.status.mutable_current_position() = position;
  if (promise.revoked_below_term() > 0) *candidate.status.mutable_term_revocation() = promise;
  *candidate.address.mutable_id() = Member(member);
  candidate.address.set_host(std::string(member) + ".test");
  candidate.address.set_postgres_port(5432);
  return candidate;
}

}  // namespace multigres::consensus::testing
