#include "services/multipooler/consensus/sql_shard_schema.h"

#include <charconv>

#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "services/multipooler/consensus/rule_rows.h"
#include "services/multipooler/consensus/rule_statements.h"
#include "services/multipooler/consensus/tables.h"

namespace multigres::pooler::consensus {

namespace {

namespace pb = ::clustermetadata;
using pgclient::QuoteLiteral;

constexpr Duration kReadTimeout = std::chrono::seconds(2);
constexpr std::string_view kUndefinedTable = "42P01";
constexpr std::string_view kInvalidSchema = "3F000";
constexpr std::string_view kLockNotAvailable = "55P03";

}  // namespace

Awaitable<Result<>> SqlShardSchema::Create(pb::DurabilityPolicy policy, std::string bootstrapper, Deadline deadline) {
  auto made = co_await sessions_.Query(CreateSchemaStatements(policy, bootstrapper), deadline);
  if (!made) co_return Fail(std::move(made), "create schema multigres");
  co_return Result<>();
}

Awaitable<Result<>> SqlShardSchema::RecreateUnlogged(Deadline deadline) {
  auto made = co_await sessions_.Query(RecreateUnloggedStatements(), deadline);
  if (!made) co_return Fail(std::move(made), "recreate multigres.backend_vpid");
  co_return Result<>();
}

Awaitable<Result<pb::RulePosition>> SqlShardSchema::ReadRule(bool plain, Deadline deadline) {
  deadline = deadline.Earlier(sessions_.clock().After(kReadTimeout));
  auto session = co_await sessions_.Take(deadline);
  if (!session) co_return std::unexpected(std::move(session.error()));
  pgclient::Bounds bounds;
  bounds.deadline = deadline;
  Result<pgclient::QueryResult> rows = Fail(Code::kInternal, "not read");
  if (plain) {
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

Awaitable<Result<replication::Lsn>> SqlShardSchema::CommitRule(RuleCommit commit, Deadline deadline) {
  std::string sql = RuleStatement(commit);
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
  // What the session shows of the setting must be the server's again.
  auto lsn = co_await pgclient::QuerySimple(connection, "RESET synchronous_commit; SELECT pg_current_wal_insert_lsn()",
                                            bounds);
  if (!lsn) co_return std::unexpected(std::move(lsn.error()));
  connection.set_handlers({});
  sessions_.Return(std::move(*session));
  co_return multigres::consensus::ParseLsn(lsn->Scalar().value_or(""));
}

Awaitable<Result<>> SqlShardSchema::WriteHeartbeat(std::string leader, std::int64_t ts_ns, Deadline deadline) {
  auto written = co_await sessions_.Query(
      fmt::format("BEGIN; SET LOCAL synchronous_commit = local; "
                  "INSERT INTO multigres.heartbeat (shard_id, leader_id, ts) VALUES ('0'::bytea, {0}, {1}) "
                  "ON CONFLICT (shard_id) DO UPDATE SET leader_id = {0}, ts = {1}; COMMIT",
                  QuoteLiteral(leader), ts_ns),
      deadline);
  if (!written) co_return Fail(std::move(written), "heartbeat");
  co_return Result<>();
}

Awaitable<Result<std::optional<std::int64_t>>> SqlShardSchema::ReadHeartbeat(Deadline deadline) {
  auto text = co_await sessions_.Scalar("SELECT ts FROM multigres.heartbeat WHERE shard_id = '0'::bytea", deadline);
  if (!text) co_return Fail(std::move(text), "heartbeat");
  std::int64_t ts = 0;
  std::from_chars(text->data(), text->data() + text->size(), ts);
  if (ts == 0) co_return std::optional<std::int64_t>();
  co_return std::optional(ts);
}

}  // namespace multigres::pooler::consensus
