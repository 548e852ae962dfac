#include "common/pgclient/copy.h"

#include "common/pgclient/query.h"
#include "tools/result/check.h"

namespace multigres::pgclient {

namespace {

bool StartsCopy(char type) {
  return type == pgwire::kCopyInResponse || type == pgwire::kCopyOutResponse || type == pgwire::kCopyBothResponse;
}

Result<CopyStart> ReadStart(const pgwire::Frame& message) {
  auto response = pgwire::ReadCopyResponse(message.body);
  if (!response) return std::unexpected(std::move(response.error()));
  CopyStart start{message.type, response->format, {}};
  for (std::size_t i = 0; i < response->column_formats.size(); ++i) {
    start.column_formats.push_back(response->column_formats[i]);
  }
  return start;
}

// Reads to ReadyForQuery and gives the command tag, or the first error.
Awaitable<Result<std::string>> ReadTag(Connection& connection, Bounds bounds) {
  std::string tag;
  std::optional<Error> refused;
  while (true) {
    auto message = co_await connection.NextReply(bounds);
    if (!message) co_return std::unexpected(std::move(message.error()));
    if (message->type == pgwire::kCommandComplete) {
      auto read = pgwire::ReadCommandComplete(message->body);
      if (read) tag = *read;
    } else if (message->type == pgwire::kErrorResponse) {
      if (!refused) refused = ErrorOf(*message);
    } else if (message->type == pgwire::kReadyForQuery && connection.pipeline().empty()) {
      break;
    }
  }
  // The server may have ended the COPY before it was told to; what it was told must not linger.
  auto flushed = co_await connection.Flush(bounds);
  if (refused) co_return std::unexpected(std::move(*refused));
  if (!flushed) co_return std::unexpected(std::move(flushed.error()));
  co_return tag;
}

}  // namespace

Awaitable<Result<CopyStart>> StartCopy(Connection& connection, std::string sql, Bounds bounds) {
  connection.SendQuery(sql);
  std::optional<Error> refused;
  while (true) {
    auto message = co_await connection.NextReply(bounds);
    if (!message) co_return std::unexpected(std::move(message.error()));
    if (StartsCopy(message->type)) co_return ReadStart(*message);
    if (message->type == pgwire::kErrorResponse && !refused) refused = ErrorOf(*message);
    if (message->type == pgwire::kReadyForQuery && connection.pipeline().empty()) break;
  }
  if (refused) co_return std::unexpected(std::move(*refused));
  co_return Fail(Code::kInvalidArgument, "08P01", "the statement does not start a COPY");
}

Awaitable<Result<std::string>> FinishCopyIn(Connection& connection, Bounds bounds) {
  connection.SendCopyDone();
  co_return co_await ReadTag(connection, bounds);
}

Awaitable<Result<>> FailCopyIn(Connection& connection, std::string reason, Bounds bounds) {
  connection.SendCopyFail(reason);
  auto tag = co_await ReadTag(connection, bounds);
  if (tag || tag.error().sqlstate() == "57014") co_return Result<>{};
  co_return std::unexpected(std::move(tag.error()));
}

Awaitable<Result<std::optional<std::string_view>>> NextCopyData(Connection& connection, std::string& tag,
                                                                Bounds bounds) {
  auto message = co_await connection.NextReply(bounds);
  if (!message) co_return std::unexpected(std::move(message.error()));
  if (message->type == pgwire::kCopyData) co_return message->body;
  Error error(Code::kInternal, "08P01", "unexpected message during COPY");
  if (message->type == pgwire::kErrorResponse) error = ErrorOf(*message);
  const bool done = message->type == pgwire::kCopyDone;
  auto rest = co_await ReadTag(connection, bounds);
  if (!done) co_return std::unexpected(std::move(error));
  if (!rest) co_return std::unexpected(std::move(rest.error()));
  tag = std::move(*rest);
  co_return std::nullopt;
}

}  // namespace multigres::pgclient
