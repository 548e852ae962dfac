// Whole requests, for work that isn't on the hot path: admin queries, probes, settings.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/pgclient/connection.h"

namespace multigres::pgclient {

struct QueryResult {
  std::vector<std::string> columns;
  std::vector<std::uint32_t> type_oids;
  std::vector<std::vector<std::optional<std::string>>> rows;  // text format
  std::string command_tag;

  // The first column of the first row; nothing if there is no row or it is NULL.
  std::optional<std::string> Scalar() const;
};

// These read to ReadyForQuery, so that the connection is in sync again whether they succeed or give the server's error
// (IsDead() apart). Interrupted by their bounds they Close() the connection.

// The simple protocol; several statements give the last one's result.
Awaitable<Result<QueryResult>> QuerySimple(Connection& connection, std::string sql, Bounds bounds);

// The extended protocol with parameters as text, types left to the server.
Awaitable<Result<QueryResult>> QueryParams(Connection& connection, std::string sql,
                                           std::vector<std::optional<std::string>> parameters, Bounds bounds);

// The simple protocol with a callback per row (views are good inside it only). Gives the last command tag.
using RowCallback = std::move_only_function<void(const pgwire::FieldList&)>;
Awaitable<Result<std::string>> QueryRows(Connection& connection, std::string sql, RowCallback on_row, Bounds bounds);

// Reads and drops replies until nothing is owed any more. The first error response on the way, if any. Interrupted it
// leaves the connection as it is. A COPY FROM STDIN is ended with CopyFail, an open batch of
// extended messages with Sync, first.
Awaitable<Result<std::optional<Error>>> DrainToSync(Connection& connection, Bounds bounds);

// The error that an ErrorResponse message carries. FATAL and PANIC: its statement may have executed.
Error ErrorOf(const pgwire::Frame& error_response);

// "it's" -> 'it''s' and "my table" -> "my table" for text that becomes part of a statement.
std::string QuoteLiteral(std::string_view text);
std::string QuoteIdentifier(std::string_view name);

}  // namespace multigres::pgclient
