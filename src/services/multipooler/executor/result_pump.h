// From PostgreSQL's messages to a statement's stream of payloads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/pgclient/connection.h"
#include "common/queryservice/query_service.h"

namespace query {
class QueryResult;
}

namespace multigres::pooler::executor {

struct PumpOptions {
  // Rows as the exact bytes of their frames; else decoded into Row messages.
  bool passthrough = true;
  // Completions to swallow before the statement's own: those of a BEGIN sent ahead of it.
  int skip_completions = 0;
};

struct PumpResult {
  // How the statement ended: PostgreSQL's error; the connection's (it is broken then); 57014 if it was cancelled; the
  // sink's.
  Result<> result;
  // It was cancelled, and PostgreSQL never said what came of it: `result` is 57014 all the same, the connection closed.
  bool unanswered = false;
  bool failed_before_statement = false;  // the error is that of a swallowed completion (BEGIN)
  bool suspended = false;                // PortalSuspended
  bool delivered = false;                // something has gone to the sink: no second try
  // The statement has committed here, and whether on any standby nobody knows: its wait for them was cut short.
  // `result` is an error then (08007, if nothing worse).
  bool unreplicated = false;
  std::string tag;  // of the last result set
  // Names of the Parse messages answered, in order: how many of those sent have succeeded.
  int parses_completed = 0;
};

// Reads until everything sent on the connection has been answered. Rows go on in blocks of up to 2 MiB; what has come
// is passed on after 5 ms without more. A cancel or deadline of `scope`, or an error of the sink, cancels the statement
// on PostgreSQL and reads on for at most 2 s (the statement may yet complete: then it has); a connection that isn't in
// sync after that is closed.
Awaitable<PumpResult> PumpResults(pgclient::Connection& connection, queryservice::CallScope scope,
                                  queryservice::ResultSink& sink, PumpOptions options);

// A sink that keeps what unary calls answer with: no rows are expected.
class CollectingSink final : public queryservice::ResultSink {
 public:
  CollectingSink();
  ~CollectingSink() override;
  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override;
  // Rows (up to max_rows, 0 = all), fields, notices, parameter changes and tag of the first result set.
  std::unique_ptr<::query::QueryResult> Take();
  void set_max_rows(std::uint64_t max_rows) { max_rows_ = max_rows; }

 private:
  std::unique_ptr<::query::QueryResult> result_;
  std::uint64_t max_rows_ = 0;
  bool complete_ = false;
};

// FieldDescription and friends into the contract's form.
void AddFields(std::string_view row_description, ::query::QueryResult& result);

}  // namespace multigres::pooler::executor
