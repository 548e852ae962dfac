// COPY on a connection, and the bidirectional kind that replication uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/pgclient/connection.h"

namespace multigres::pgclient {

struct CopyStart {
  char direction = 0;       // kCopyInResponse, kCopyOutResponse or kCopyBothResponse
  std::uint8_t format = 0;  // 0 text, 1 binary
  std::vector<std::uint16_t> column_formats;
};

// Sends a COPY (or START_REPLICATION) by the simple protocol. A server error leaves the connection in sync; a statement
// that isn't a COPY is run to its end and is 08P01 then. Interrupted: as Connection.
Awaitable<Result<CopyStart>> StartCopy(Connection& connection, std::string sql, Bounds bounds);

// COPY FROM STDIN: Connection::SendCopyData() and Flush() with a low-water mark in between, then one of these. They
// read to ReadyForQuery. FinishCopyIn gives the tag or the server's error; FailCopyIn makes the server fail it (57014,
// which is success here).
Awaitable<Result<std::string>> FinishCopyIn(Connection& connection, Bounds bounds);
Awaitable<Result<>> FailCopyIn(Connection& connection, std::string reason, Bounds bounds);

// COPY TO STDOUT: the next chunk, good until the next read, or nothing at the end, when `tag` has been filled and the
// connection is in sync. A server error is the result, the connection in sync.
Awaitable<Result<std::optional<std::string_view>>> NextCopyData(Connection& connection, std::string& tag,
                                                                Bounds bounds);

}  // namespace multigres::pgclient
