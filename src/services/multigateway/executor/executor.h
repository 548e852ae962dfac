// Runs what the handler takes off the wire. One per reactor, shared by its sessions.
//
// The handler's part: it decodes messages, writes what the sink is given, writes an ErrorResponse for each error
// returned here (Error::diagnostic() verbatim if there is one, else sqlstate() or XX000, and message()), and before
// each ReadyForQuery sends Session::reported().TakeChanges() and then Session::status_byte(). After a diagnostic of
// severity FATAL or PANIC it closes the connection instead of sending ReadyForQuery, unless only a backend was lost
// (57P01 and its like). After an error in an extended message it discards messages up to Sync. It runs one call of a
// session at a time.
//
// Cancellation: the handler gives every call a token of this message cycle and cancels it for a CancelRequest
// (57014 `canceling statement due to user request`) or when the client is gone. Statement timeouts are the executor's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/pgwire/frontend.h"
#include "common/sqlparse/fwd.h"
#include "services/multigateway/engine/plan.h"
#include "services/multigateway/plancache/plan_cache.h"
#include "services/multigateway/session/session.h"
#include "tools/async/cancel_token.h"
#include "tools/clock/clock.h"

namespace multigres::gateway::executor {

using session::Session;

// The answer to Describe.
struct Description {
  Description();
  Description(Description&&) noexcept;
  Description& operator=(Description&&) noexcept;
  ~Description();

  std::vector<std::uint32_t> param_types;               // of a statement; empty for portals
  std::unique_ptr<::query::StatementDescription> rows;  // null = NoData; else its fields (zero columns are possible)
};

// What follows an Execute, which decides whether it can commit by itself. The handler waits for the next message before
// it makes the call (the client owes one).
enum class Following : std::uint8_t { kSync, kOther };

class Executor {
 public:
  // All of the reactor. `plan_cache_bytes`: 0 = off.
  Executor(engine::IExecute& execute, Clock& clock, std::size_t plan_cache_bytes);
  ~Executor();

  // Query: the whole string, however many statements, with the transaction rules for a batch. The sink is given
  // everything up to ReadyForQuery. `sql` must outlive the call.
  Awaitable<Result<>> StreamExecute(Session& session, std::string_view sql, CancelToken& cancel,
                                    engine::ClientSink& sink);

  // Parse. No backend is called, so most errors of the statement show at Describe or Execute.
  Result<> Parse(Session& session, const pgwire::ParseMessage& message);
  // Bind. No backend is called, so errors of the values show at Execute.
  Result<> Bind(Session& session, const pgwire::BindMessage& message);
  Awaitable<Result<Description>> DescribeStatement(Session& session, std::string_view name, CancelToken& cancel);
  Awaitable<Result<Description>> DescribePortal(Session& session, std::string_view name, CancelToken& cancel);
  // Execute. `include_describe`: a Describe of this portal came right before and was held back; the sink is then given
  // RowDescription or NoData too. Ends with CommandComplete, EmptyQuery or PortalSuspended.
  Awaitable<Result<>> PortalStreamExecute(Session& session, std::string_view portal, std::uint64_t max_rows,
                                          bool include_describe, Following following, CancelToken& cancel,
                                          engine::ClientSink& sink);
  // Close: silent if absent.
  Awaitable<Result<>> CloseStatement(Session& session, std::string_view name);
  Awaitable<Result<>> ClosePortal(Session& session, std::string_view name, CancelToken& cancel);
  // Sync, also the one that ends the discarding after an error: commits a pipeline's implicit transaction. Its error
  // goes out as an ErrorResponse before ReadyForQuery. The sink may be given notices.
  Awaitable<Result<>> Sync(Session& session, CancelToken& cancel, engine::ClientSink& sink);

  // The client is gone: gives back what the session holds, within 5 s. Call once, at the end of every session.
  Awaitable<void> EndSession(Session& session);

  const plancache::PlanCache& plan_cache() const { return plan_cache_; }

 private:
  // What a caller chooses of a PlanContext.
  struct Run {
    std::string_view sql;
    session::Portal* portal = nullptr;
    std::uint64_t max_rows = 0;
    engine::ColumnsWanted columns = engine::ColumnsWanted::kRowDescription;
  };

  // The plan of a single cacheable statement with this text; null if it isn't known.
  engine::PlanPtr CachedPlan(const Session& session, std::string_view sql);
  // Plans the only statement of a text, and puts the plan into the cache if it can be shared.
  engine::PlanPtr PlanSingle(sqlparse::Statement& statement, std::string_view sql);
  // Null = no statement.
  Result<engine::PlanPtr> PlanForParse(const Session& session, std::string_view sql);
  Result<> TryParse(Session& session, const pgwire::ParseMessage& message);
  Result<> TryBind(Session& session, const pgwire::BindMessage& message);
  // Query ends the unnamed statement and portal.
  static void DropUnnamed(Session& session);
  // Checks the transaction, runs, and on an error fails the transaction.
  Awaitable<Result<>> RunPlan(Session& session, engine::PlanPtr plan, Run run, CancelToken& cancel,
                              engine::ClientSink& sink);
  Awaitable<Result<>> RunBatch(Session& session, std::string_view sql, const sqlparse::ParsedQuery& query,
                               CancelToken& cancel, engine::ClientSink& sink);
  // Asks PostgreSQL about what our grammar doesn't know, before anything of the batch runs.
  Awaitable<Result<>> CheckSyntax(Session& session, std::string_view sql, const sqlparse::ParsedQuery& query,
                                  CancelToken& cancel);
  Awaitable<Result<Description>> DescribeSource(Session& session, session::StatementSourcePtr source,
                                                const session::Portal* portal, CancelToken& cancel);
  // Without the client's token, which may have fired already.
  Awaitable<void> RollBackImplicit(Session& session, engine::ClientSink& sink);
  static bool HoldsForPortalsAlone(Session& session);
  // Gives back a backend that nothing but portals that are gone has held.
  Awaitable<void> ReleaseIdlePortals(Session& session);
  engine::CallScope ScopeFor(const Session& session, CancelToken& cancel) const;
  engine::CallScope CleanUpScope() const;

  engine::IExecute& execute_;
  Clock& clock_;
  plancache::PlanCache plan_cache_;
  std::string key_;  // of the lookup in progress
};

}  // namespace multigres::gateway::executor
