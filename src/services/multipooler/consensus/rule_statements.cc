#include "services/multipooler/consensus/rule_statements.h"

#include "common/consensus/position.h"
#include "common/pgclient/query.h"
#include "services/multipooler/consensus/rule_rows.h"

namespace multigres::pooler::consensus {

namespace {

namespace pb = ::clustermetadata;
using multigres::consensus::HasProposal;
using multigres::consensus::MemberText;
using pgclient::QuoteLiteral;

// CAS on both numbers of what was read.
std::string Unchanged(const pb::RulePosition& expected) {
  const auto& decision = expected.decision().rule_number();
  std::string condition =
      fmt::format("shard_id = '0'::bytea AND decision_coordinator_term = {} AND decision_leader_subterm = {}",
                  decision.coordinator_term(), decision.leader_subterm());
  if (!HasProposal(expected)) return condition + " AND proposal_coordinator_term IS NULL";
  const auto& proposal = expected.proposal().rule_number();
  return condition + fmt::format(" AND proposal_coordinator_term = {} AND proposal_leader_subterm = {}",
                                 proposal.coordinator_term(), proposal.leader_subterm());
}

std::string MembersLiteral(const multigres::consensus::MemberSet& members) {
  std::string text = "{";
  for (const std::string& member : members) text += (text.size() > 1 ? ",\"" : "\"") + member + "\"";
  return QuoteLiteral(text + "}");
}

std::string ProposalStatement(const RuleCommit& write) {
  const pb::ShardRule& rule = write.rule;
  const auto& policy = rule.durability_policy();
  const std::string leader = QuoteLiteral(MemberText(rule.leader_id()));
  const std::string coordinator = QuoteLiteral(MemberText(rule.coordinator_id()));
  const std::string cohort = QuoteLiteral(CohortLiteral(rule));
  const std::string name = QuoteLiteral(policy.policy_name());
  const std::string type = QuoteLiteral(QuorumTypeText(policy));
  const std::string time = TimestampText(rule.creation_time());
  const auto& number = rule.rule_number();
  return fmt::format(
      "WITH changed AS (UPDATE multigres.current_rule SET proposal_coordinator_term = {0}, proposal_leader_subterm = "
      "{1}, "
      "proposal_leader_id = {2}, proposal_cohort_members = {3}, proposal_durability_policy_name = {4}, "
      "proposal_durability_quorum_type = {5}, proposal_durability_required_count = {6}, proposal_created_at = {7}, "
      "coordinator_id = {8} WHERE {9} RETURNING 1) "
      "INSERT INTO multigres.rule_history (coordinator_term, leader_subterm, event_type, leader_id, coordinator_id, "
      "wal_position, accepted_members, reason, cohort_members, durability_policy_name, durability_quorum_type, "
      "durability_required_count, operation, decided, created_at) "
      "SELECT {0}, {1}, {10}, {2}, {8}, pg_current_wal_lsn()::text, {11}::text[], {12}, {3}::text[], {4}, {5}, {6}, "
      "{13}, "
      "false, {7} FROM changed",
      number.coordinator_term(), number.leader_subterm(), leader, cohort, name, type, policy.required_count(), time,
      coordinator, Unchanged(write.expected), QuoteLiteral(write.event_type), MembersLiteral(write.accepted_members),
      QuoteLiteral(write.reason), write.operation.empty() ? std::string("NULL") : QuoteLiteral(write.operation));
}

std::string DecisionStatement(const RuleCommit& write) {
  const auto& number = write.rule.rule_number();
  return fmt::format(
      "WITH changed AS (UPDATE multigres.current_rule SET decision_coordinator_term = proposal_coordinator_term, "
      "decision_leader_subterm = proposal_leader_subterm, leader_id = proposal_leader_id, "
      "cohort_members = proposal_cohort_members, durability_policy_name = proposal_durability_policy_name, "
      "durability_quorum_type = proposal_durability_quorum_type, "
      "durability_required_count = proposal_durability_required_count, created_at = proposal_created_at, "
      "proposal_coordinator_term = NULL, proposal_leader_subterm = NULL, proposal_leader_id = NULL, "
      "proposal_cohort_members = NULL, proposal_durability_policy_name = NULL, proposal_durability_quorum_type = NULL, "
      "proposal_durability_required_count = NULL, proposal_created_at = NULL WHERE {} RETURNING 1) "
      "UPDATE multigres.rule_history SET decided = true FROM changed WHERE coordinator_term = {} AND leader_subterm = "
      "{}",
      Unchanged(write.expected), number.coordinator_term(), number.leader_subterm());
}

std::string ConfirmStatement(const RuleCommit& write) {
  const auto& number = write.rule.rule_number();
  return fmt::format(
      "UPDATE multigres.rule_history SET decided = decided WHERE coordinator_term = {} AND leader_subterm = {}",
      number.coordinator_term(), number.leader_subterm());
}

}  // namespace

std::string RuleStatement(const RuleCommit& commit) {
  switch (commit.kind) {
    case RuleCommit::Kind::kPropose:
      return ProposalStatement(commit);
    case RuleCommit::Kind::kDecide:
      return DecisionStatement(commit);
    case RuleCommit::Kind::kConfirm:
      break;
  }
  return ConfirmStatement(commit);
}

}  // namespace multigres::pooler::consensus
