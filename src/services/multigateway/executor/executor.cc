#include "services/multigateway/executor/executor.h"

#include <chrono>

#include "common/mterrors/conditions.h"
#include "common/sqlparse/parser.h"
#include "common/sqlparse/shape.h"
#include "query.pb.h"
#include "services/multigateway/engine/error_rewrite.h"
#include "services/multigateway/engine/transaction_control.h"
#include "services/multigateway/executor/deferring_sink.h"
#include "services/multigateway/planner/planner.h"

namespace multigres::gateway::executor {

using engine::CallScope;
using engine::ClientSink;
using engine::Conclusion;
using engine::PlanPtr;
using sqlparse::ParsedQuery;
using sqlparse::Statement;

namespace {

constexpr auto kCleanUpTimeout = std::chrono::seconds(5);

Error InFailedTransaction() {
  return {Code::kFailedPrecondition, "25P02",
          "current transaction is aborted, commands ignored until end of transaction block"};
}

}  // namespace

Description::Description() = default;
Description::Description(Description&&) noexcept = default;
Description& Description::operator=(Description&&) noexcept = default;
Description::~Description() = default;

Executor::Executor(engine::IExecute& execute, Clock& clock, std::size_t plan_cache_bytes)
    : execute_(execute), clock_(clock), plan_cache_(plan_cache_bytes) {}

Executor::~Executor() = default;

CallScope Executor::ScopeFor(const Session& session, CancelToken& cancel) const {
  std::int32_t timeout_ms = session.statement_timeout_ms();
  Deadline deadline = timeout_ms == 0 ? Deadline::Never() : clock_.After(std::chrono::milliseconds(timeout_ms));
  return {deadline, &cancel};
}

CallScope Executor::CleanUpScope() const {
  return {clock_.After(kCleanUpTimeout), nullptr};
}

PlanPtr Executor::CachedPlan(const Session& session, std::string_view sql) {
  key_.clear();
  if (!plan_cache_.enabled()) return nullptr;
  bool standard_strings = session.standard_conforming_strings();
  if (!standard_strings) key_.push_back('\\');
  if (!sqlparse::AppendShape(sql, standard_strings, key_)) {
    key_.clear();
    return nullptr;
  }
  return plan_cache_.Find(key_);
}

PlanPtr Executor::PlanSingle(Statement& statement, std::string_view sql) {
  // All of the client's text goes out, hints and trace comments around the statement too.
  statement.begin = 0;
  statement.end = sql.size();
  PlanPtr plan = planner::MakePlan(statement, sql);
  if (plan->traits().cacheable && !key_.empty()) plan_cache_.Put(key_, plan);
  return plan;
}

Awaitable<Result<>> Executor::StreamExecute(Session& session, std::string_view sql, CancelToken& cancel,
                                            ClientSink& sink) {
  DropUnnamed(session);
  PlanPtr plan = CachedPlan(session, sql);
  if (plan == nullptr) {
    ParsedQuery query = sqlparse::Parse(sql, {session.standard_conforming_strings()});
    if (query.statements.empty()) {
      sink.EmptyQuery();
      co_return Result<>();
    }
    if (query.statements.size() > 1) co_return co_await RunBatch(session, sql, query, cancel, sink);
    plan = PlanSingle(query.statements.front(), sql);
  }
  co_return co_await RunPlan(session, std::move(plan), {.sql = sql}, cancel, sink);
}

void Executor::DropUnnamed(Session& session) {
  session.statements().Remove("");
  session::Portal* portal = session.portals().Find("");
  if (portal == nullptr) return;
  if (portal->state == session::Portal::State::kSuspended) session.portals_to_release().emplace_back();
  session.portals().Remove("");
}

Awaitable<Result<>> Executor::RunPlan(Session& session, PlanPtr plan, Run run, CancelToken& cancel, ClientSink& sink) {
  if (session.transaction().failed() && !plan->traits().allowed_in_failed) {
    co_return std::unexpected(InFailedTransaction());
  }
  engine::PlanContext context{.execute = execute_,
                              .session = session,
                              .sink = sink,
                              .plan = *plan,
                              .sql = run.sql,
                              .scope = ScopeFor(session, cancel),
                              .portal = run.portal,
                              .max_rows = run.max_rows,
                              .columns = run.columns};
  auto ran = co_await plan->primitive().Execute(context);
  if (!ran) session.transaction().Fail();
  if (HoldsForPortalsAlone(session)) co_await ReleaseIdlePortals(session);
  co_return ran;
}

// True for sessions that hold a backend for portals that have ended with their transaction.
bool Executor::HoldsForPortalsAlone(Session& session) {
  return session.reservation().reasons == session::reason::kPortal && session.transaction().idle() &&
         session.settings().hold_cursors().empty() && session.portals().Suspended().empty();
}

Awaitable<Result<>> Executor::RunBatch(Session& session, std::string_view sql, const ParsedQuery& query,
                                       CancelToken& cancel, ClientSink& sink) {
  auto checked = co_await CheckSyntax(session, sql, query, cancel);
  if (!checked) {
    session.transaction().Fail();
    co_return checked;
  }
  Result<> ran;
  DeferringSink last(sink);
  for (const Statement& statement : query.statements) {
    if (session.transaction().idle()) session.BeginTransaction("BEGIN", true);
    bool is_last = &statement == &query.statements.back();
    ran = co_await RunPlan(session, planner::MakePlan(statement, sql), {.sql = statement.Text(sql)}, cancel,
                           is_last ? static_cast<ClientSink&>(last) : sink);
    if (!ran) {
      ran = std::unexpected(engine::ShiftPosition(std::move(ran.error()), sql.substr(0, statement.begin)));
      break;
    }
    if (!is_last && cancel.IsCancelled()) {
      ran = std::unexpected(mterrors::CanceledByUser());
      session.transaction().Fail();
      break;
    }
  }
  if (session.transaction().implicit()) {
    if (!ran) {
      co_await RollBackImplicit(session, sink);
      co_return ran;
    }
    ran = co_await engine::ConcludeImplicit(execute_, session, Conclusion::kCommit, ScopeFor(session, cancel), sink);
  }
  if (ran) last.Release();
  co_return ran;
}

Awaitable<Result<>> Executor::CheckSyntax(Session& session, std::string_view sql, const ParsedQuery& query,
                                          CancelToken& cancel) {
  for (const Statement& statement : query.statements) {
    if (statement.parsed) continue;
    std::string_view before = sql.substr(0, statement.begin);
    if (statement.syntax_error) {
      PgDiagnostic diagnostic{.severity = "ERROR",
                              .code = statement.syntax_error->sqlstate,
                              .message = statement.syntax_error->message,
                              .position = statement.syntax_error->position};
      co_return std::unexpected(
          engine::ShiftPosition(Error::FromDiagnostic(std::move(diagnostic), Code::kInvalidArgument), before));
    }
    if (session.transaction().failed()) continue;
    session::StatementSource source{std::string(statement.Text(sql)), {}, nullptr};
    auto described = co_await execute_.Describe(session, source, nullptr, ScopeFor(session, cancel));
    // Any other error may be cured by the statements before it.
    if (!described && described.error().sqlstate() == "42601") {
      co_return std::unexpected(engine::ShiftPosition(std::move(described.error()), before));
    }
  }
  co_return Result<>();
}

Awaitable<void> Executor::RollBackImplicit(Session& session, ClientSink& sink) {
  auto rolled_back = co_await engine::ConcludeImplicit(execute_, session, Conclusion::kRollback, CleanUpScope(), sink);
  // Its backend is closed then, which rolls back too.
  static_cast<void>(rolled_back);
}

Awaitable<void> Executor::EndSession(Session& session) {
  if (!session.reservation().held()) co_return;
  auto released = co_await execute_.ReleaseReservedConnection(session, false, CleanUpScope());
  static_cast<void>(released);
}

}  // namespace multigres::gateway::executor
