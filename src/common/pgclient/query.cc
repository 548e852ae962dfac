#include "common/pgclient/query.h"

#include "common/pgwire/diagnostic.h"

namespace multigres::pgclient {

namespace {

constexpr std::string_view kNoCopyHere = "COPY is not possible here";

// Reads the replies of what was sent to its end. Gives the first error response.
template <class OnMessage>
Awaitable<Result<>> ReadReplies(Connection& connection, OnMessage& on_message, Bounds bounds) {
  std::optional<Error> refused;
  while (true) {
    auto message = co_await connection.NextReply(bounds);
    if (!message) {
      // Half a request would be in the way of the next one.
      if (IsInterrupted(message.error())) connection.Close();
      if (refused && !IsInterrupted(message.error())) co_return std::unexpected(std::move(*refused));
      co_return std::unexpected(std::move(message.error()));
    }
    switch (message->type) {
      case pgwire::kErrorResponse:
        if (!refused) refused = ErrorOf(*message);
        break;
      case pgwire::kCopyInResponse:
        connection.SendCopyFail(kNoCopyHere);
        break;
      case pgwire::kReadyForQuery:
        if (!connection.pipeline().empty()) break;
        if (refused) co_return std::unexpected(std::move(*refused));
        co_return Result<>{};
      default: {
        auto handled = on_message(*message);
        if (!handled && !refused) refused = std::move(handled.error());
      }
    }
  }
}

// Gathers messages into a QueryResult.
class ResultBuilder {
 public:
  explicit ResultBuilder(RowCallback* on_row = nullptr) : on_row_(on_row) {}

  Result<> operator()(const pgwire::Frame& message) {
    switch (message.type) {
      case pgwire::kRowDescription:
        return OnDescription(message.body);
      case pgwire::kDataRow:
        return OnRow(message.body);
      case pgwire::kCommandComplete: {
        auto tag = pgwire::ReadCommandComplete(message.body);
        if (!tag) return std::unexpected(std::move(tag.error()));
        if (!described_) result_ = QueryResult();  // a statement without rows behind one with rows
        described_ = false;
        result_.command_tag = *tag;
        return {};
      }
      default:
        return {};
    }
  }
  QueryResult Take() { return std::move(result_); }

 private:
  Result<> OnDescription(std::string_view body) {
    auto fields = pgwire::ReadRowDescription(body);
    if (!fields) return std::unexpected(std::move(fields.error()));
    result_ = QueryResult();
    described_ = true;
    for (const auto& field : *fields) {
      result_.columns.emplace_back(field.name);
      result_.type_oids.push_back(field.type_oid);
    }
    return {};
  }

  Result<> OnRow(std::string_view body) {
    auto row = pgwire::ReadDataRow(body);
    if (!row) return std::unexpected(std::move(row.error()));
    if (on_row_ != nullptr) {
      (*on_row_)(*row);
      return {};
    }
    auto& values = result_.rows.emplace_back();
    values.reserve(row->size());
    for (const auto field : *row) values.emplace_back(field);
    return {};
  }

  RowCallback* on_row_;
  QueryResult result_;
  bool described_ = false;
};

std::string Quoted(std::string_view text, char quote) {
  std::string quoted(1, quote);
  for (const char c : text) {
    if (c == quote) quoted.push_back(quote);
    quoted.push_back(c);
  }
  quoted.push_back(quote);
  return quoted;
}

}  // namespace

std::optional<std::string> QueryResult::Scalar() const {
  if (rows.empty() || rows[0].empty()) return std::nullopt;
  return rows[0][0];
}

Error ErrorOf(const pgwire::Frame& error_response) {
  auto diagnostic = pgwire::ReadDiagnostic(error_response.type, error_response.body);
  if (!diagnostic) return std::move(diagnostic.error());
  const bool ends = pgwire::EndsSession(*diagnostic);
  return Error::FromDiagnostic(std::move(*diagnostic))
      .WithExecution(ends ? Execution::kMayHaveExecuted : Execution::kExecuted);
}

Awaitable<Result<QueryResult>> QuerySimple(Connection& connection, std::string sql, Bounds bounds) {
  connection.SendQuery(sql);
  ResultBuilder builder;
  auto read = co_await ReadReplies(connection, builder, bounds);
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return builder.Take();
}

Awaitable<Result<QueryResult>> QueryParams(Connection& connection, std::string sql,
                                           std::vector<std::optional<std::string>> parameters, Bounds bounds) {
  std::vector<std::optional<std::string_view>> values(parameters.begin(), parameters.end());
  connection.SendParse("", sql);
  connection.SendBind({}, values);
  connection.SendDescribe('P', "");
  connection.SendExecute("");
  connection.SendSync();
  ResultBuilder builder;
  auto read = co_await ReadReplies(connection, builder, bounds);
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return builder.Take();
}

Awaitable<Result<std::string>> QueryRows(Connection& connection, std::string sql, RowCallback on_row, Bounds bounds) {
  connection.SendQuery(sql);
  ResultBuilder builder(&on_row);
  auto read = co_await ReadReplies(connection, builder, bounds);
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return builder.Take().command_tag;
}

Awaitable<Result<std::optional<Error>>> DrainToSync(Connection& connection, Bounds bounds) {
  std::optional<Error> refused;
  if (connection.awaits_copy_data()) connection.SendCopyFail(kNoCopyHere);
  if (connection.pipeline().batch_open()) connection.SendSync();
  while (!connection.in_sync()) {
    auto block = co_await connection.NextBlock(bounds);
    if (!block) co_return std::unexpected(std::move(block.error()));
    if (block->type == pgwire::kErrorResponse && !refused) refused = ErrorOf({block->type, block->bytes});
    if (block->type == pgwire::kCopyInResponse) connection.SendCopyFail(kNoCopyHere);
    if (block->type != pgwire::kDataRow) connection.Dispatch({block->type, block->bytes});
  }
  co_return refused;
}

std::string QuoteLiteral(std::string_view text) {
  std::string quoted = Quoted(text, '\'');
  if (text.find('\\') == std::string_view::npos) return quoted;
  // Good whatever standard_conforming_strings says.
  std::string escaped = "E";
  for (const char c : quoted) {
    if (c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

std::string QuoteIdentifier(std::string_view name) {
  return Quoted(name, '"');
}

}  // namespace multigres::pgclient
