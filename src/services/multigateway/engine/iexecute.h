// What plans run on: one session's statements, wherever they have to run. ScatterConn implements it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/queryservice/query_service.h"
#include "tools/async/awaitable.h"
#include "tools/result/error.h"

namespace query {
class Portal;  // NOLINT(bugprone-forward-declaration-namespace): session has one too
class QueryResult;
class StatementDescription;
}  // namespace query

namespace multigres::gateway::session {
class Session;
struct StatementSource;
struct Portal;
}  // namespace multigres::gateway::session

namespace multigres::gateway::engine {

using queryservice::CallScope;

// What a statement does to the backend that it runs on, beyond the open transaction (which is added by itself).
struct Pinning {
  std::uint32_t reasons = 0;                 // session::reason bits that the session needs from now on
  std::vector<std::string> pin_portals;      // WITH HOLD cursors that the statement opens
  std::vector<std::string> release_portals;  // ... and that it closes
  bool recheck_advisory_locks = false;
  bool prepares_transaction = false;  // what it has done stands, even if the backend is lost before it says so

  bool empty() const {
    return reasons == 0 && pin_portals.empty() && release_portals.empty() && !recheck_advisory_locks &&
           !prepares_transaction;
  }
};

// EXECUTE of a prepared statement by SQL: the pooler prepares `source` and runs prefix + its own name for it + suffix.
struct PreparedWrapper {
  const session::StatementSource* source = nullptr;
  std::string_view prefix;
  std::string_view suffix;
};

struct StatementCall {
  std::string_view sql;
  const Pinning* pinning = nullptr;          // null = none
  const PreparedWrapper* wrapper = nullptr;  // set: `sql` isn't sent
  bool passthrough = true;                   // rows as raw DataRow bytes; false: decoded, for the gateway to read
};

struct PortalCall {
  const session::Portal* portal = nullptr;
  const Pinning* pinning = nullptr;
  std::uint64_t max_rows = 0;  // 0 = all
  bool include_describe = false;
};

enum class Conclusion : std::uint8_t { kCommit, kRollback };

// Every call goes to the backend that the session holds, or else to a pooled one, or else reserves one: because a
// transaction is open (its deferred BEGIN goes ahead of the statement) or the pinning asks for it. The session's
// reservation is brought up to date before a call returns; if the backend of an open transaction is lost, the
// transaction has failed. Errors are as the client shall see them.
class IExecute {
 public:
  virtual ~IExecute() = default;

  virtual Awaitable<Result<>> StreamExecute(session::Session& session, StatementCall call, CallScope scope,
                                            queryservice::ResultSink& sink) = 0;
  virtual Awaitable<Result<>> PortalStreamExecute(session::Session& session, PortalCall call, CallScope scope,
                                                  queryservice::ResultSink& sink) = 0;
  // `portal` null = the statement itself. With a transaction whose BEGIN is unsent it runs outside of it.
  virtual Awaitable<Result<std::unique_ptr<::query::StatementDescription>>> Describe(
      session::Session& session, const session::StatementSource& source, const session::Portal* portal,
      CallScope scope) = 0;
  // COPY FROM STDIN or TO STDOUT in the phases of CopyBidiExecute, from READY on. The stream keeps the reservation up
  // to date and must be read to its end or destroyed before the next call.
  virtual Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> CopyExecute(session::Session& session,
                                                                                   std::string_view sql,
                                                                                   bool from_stdin,
                                                                                   CallScope scope) = 0;
  // On the backend that holds the transaction; the session must hold it. Null result = the backend was lost during
  // ROLLBACK, which is as good. Doesn't touch the session's transaction.
  virtual Awaitable<Result<std::unique_ptr<::query::QueryResult>>> ConcludeTransaction(session::Session& session,
                                                                                       Conclusion conclusion,
                                                                                       bool chain, CallScope scope) = 0;
  virtual Awaitable<Result<>> DiscardTempTables(session::Session& session, CallScope scope) = 0;
  // Nothing is held afterwards, except what is sticky (setseed) if kept; errors leave the session without it too.
  virtual Awaitable<Result<>> ReleaseReservedConnection(session::Session& session, bool keep_sticky,
                                                        CallScope scope) = 0;
};

}  // namespace multigres::gateway::engine
