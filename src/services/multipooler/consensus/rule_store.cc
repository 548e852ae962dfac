#include "services/multipooler/consensus/rule_store.h"

#include "common/consensus/equivocation.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "services/multipooler/consensus/rule_rows.h"

namespace multigres::pooler::consensus {

namespace {

namespace pb = ::clustermetadata;
using multigres::consensus::HasProposal;
using multigres::consensus::MemberText;
using pgclient::QuoteLiteral;
using std::chrono::seconds;

constexpr Duration kReadTimeout = seconds(2);
constexpr Duration kWriteTimeout = seconds(30);
constexpr std::string_view kUndefinedTable = "42P01";
constexpr std::string_view kInvalidSchema = "3F000";
constexpr std::string_view kLockNotAvailable = "55P03";

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

std::string ProposalStatement(const RuleWrite& write) {
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

std::string DecisionStatement(const RuleWrite& write) {
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

}  // namespace

Awaitable<Result<pb::RulePosition>> RuleStore::Read(bool in_recovery, Deadline deadline) {
  deadline = deadline.Earlier(sessions_.clock().After(kReadTimeout));
  auto session = co_await sessions_.Take(deadline);
  if (!session) co_return std::unexpected(std::move(session.error()));
  pgclient::Bounds bounds;
  bounds.deadline = deadline;
  Result<pgclient::QueryResult> rows = Fail(Code::kInternal, "not read");
  if (in_recovery) {
    rows = co_await pgclient::QuerySimple(**session, ReadRuleQuery(), bounds);
  } else {
    auto begun = co_await pgclient::QuerySimple(**session, "BEGIN", bounds);
    if (!begun) co_return std::unexpected(std::move(begun.error()));
    rows = co_await pgclient::QuerySimple(**session, ReadRuleQuery() + " FOR UPDATE NOWAIT", bounds);
    // Never COMMIT: it would wait for an acknowledgement that under the fence never comes.
    auto ended = co_await pgclient::QuerySimple(**session, "ROLLBACK", bounds);
    if (!ended && rows) rows = std::unexpected(std::move(ended.error()));
  }
  sessions_.Return(std::move(*session));
  if (!rows) {
    const std::string& sqlstate = rows.error().sqlstate();
    if (sqlstate == kUndefinedTable || sqlstate == kInvalidSchema) {
      co_return Fail(Code::kNotFound, "the shard has no rule: multigres.current_rule doesn't exist");
    }
    if (sqlstate == kLockNotAvailable) co_return Fail(Code::kAborted, "a change of the rule is in progress");
    co_return Fail(std::move(rows), "read rule");
  }
  if (rows->rows.empty()) co_return Fail(Code::kNotFound, "the shard has no rule: multigres.current_rule is empty");
  co_return RuleFromRow(rows->rows[0]);
}

// Returns the WAL position up to which everything of the commit lies.
Awaitable<Result<replication::Lsn>> RuleStore::Commit(std::string sql, Deadline deadline) {
  auto session = co_await sessions_.Take(deadline);
  if (!session) co_return std::unexpected(std::move(session.error()));
  pgclient::Connection& connection = **session;
  auto warning = std::make_shared<std::string>();
  pgclient::AsyncHandlers handlers;
  handlers.on_notice = [warning](PgDiagnostic&& notice) {
    if (notice.severity == "WARNING") *warning = notice.message;
  };
  connection.set_handlers(std::move(handlers));
  pgclient::Bounds bounds;
  bounds.deadline = deadline;
  auto set = co_await pgclient::QuerySimple(connection, "SET synchronous_commit = on", bounds);
  if (!set) co_return std::unexpected(std::move(set.error()).WithExecution(Execution::kDidNotExecute));
  auto changed = co_await pgclient::QuerySimple(connection, std::move(sql), bounds);
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (changed->command_tag.ends_with(" 0")) {
    sessions_.Return(std::move(*session));
    co_return std::unexpected(Error(Code::kAborted, "rule conflict: current rule version changed since last read")
                                  .WithExecution(Execution::kDidNotExecute));
  }
  // "canceling wait for synchronous replication ...": success in name only.
  if (!warning->empty()) {
    co_return std::unexpected(Error(Code::kUnknown, "rule written, but not known to be held by others: " + *warning)
                                  .WithExecution(Execution::kMayHaveExecuted));
  }
  auto lsn = co_await pgclient::QuerySimple(connection, "SELECT pg_current_wal_insert_lsn()", bounds);
  if (!lsn) co_return std::unexpected(std::move(lsn.error()));
  connection.set_handlers({});
  sessions_.Return(std::move(*session));
  co_return multigres::consensus::ParseLsn(lsn->Scalar().value_or(""));
}

Awaitable<Result<>> RuleStore::Execute(std::string sql, RuleWrite write, Deadline deadline) {
  deadline = deadline.Earlier(sessions_.clock().After(kWriteTimeout));
  multigres::consensus::MemberSet listed(write.standbys.names);
  auto settled = co_await replication::WaitUntilOnlyThese(sessions_, std::move(listed), deadline);
  if (!settled) co_return settled;
  auto lsn = co_await Commit(std::move(sql), deadline);
  if (!lsn)
    co_return Fail(std::move(lsn), "write rule " + multigres::consensus::RuleNumberText(write.rule.rule_number()));
  auto durable = co_await replication::WaitUntilDurable(sessions_, write.requirement, self_, *lsn, deadline);
  if (!durable) co_return Fail(std::move(durable), "rule written, but not known to be held by a quorum");
  co_return Result<>();
}

Awaitable<Result<>> RuleStore::WriteProposal(RuleWrite write, Deadline deadline) {
  const pb::RulePosition& expected = write.expected;
  const bool there = HasProposal(expected) &&
                     multigres::consensus::SameNumber(expected.proposal().rule_number(), write.rule.rule_number());
  if (there && !multigres::consensus::SameContent(expected.proposal(), write.rule)) {
    co_return Fail(Code::kDataLoss, fmt::format("rule {} is proposed already with another content",
                                                multigres::consensus::RuleNumberText(write.rule.rule_number())));
  }
  // A retry: something small that is certainly after the proposal, and waits as it did.
  if (there) co_return co_await Confirm(std::move(write), deadline);
  std::string sql = ProposalStatement(write);
  co_return co_await Execute(std::move(sql), std::move(write), deadline);
}

Awaitable<Result<>> RuleStore::Confirm(RuleWrite write, Deadline deadline) {
  const auto& number = write.rule.rule_number();
  std::string sql = fmt::format(
      "UPDATE multigres.rule_history SET decided = decided WHERE coordinator_term = {} AND leader_subterm = {}",
      number.coordinator_term(), number.leader_subterm());
  co_return co_await Execute(std::move(sql), std::move(write), deadline);
}

Awaitable<Result<>> RuleStore::MarkDecision(RuleWrite write, Deadline deadline) {
  std::string sql = DecisionStatement(write);
  co_return co_await Execute(std::move(sql), std::move(write), deadline);
}

}  // namespace multigres::pooler::consensus
