// Where a statement's results go: the handler's side of a message cycle.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tools/async/awaitable.h"
#include "tools/result/error.h"

namespace query {
class Field;
}

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}

namespace multigres::gateway::engine {

using Fields = google::protobuf::RepeatedPtrField<::query::Field>;

// A message of the client while it feeds COPY FROM STDIN.
struct CopyInput {
  enum class Kind : std::uint8_t {
    kData,
    kDone,
    kFail,  // data = the client's reason
  };
  Kind kind = Kind::kData;
  std::string data;
};

// All calls on the session's reactor, in the order in which the client shall see the messages. The calls that return
// nothing only append to the client's output; after each of them that can be large the engine looks at Overfull() and
// waits in Flush(). ParameterStatus doesn't pass here: see Session::reported().
class ClientSink {
 public:
  virtual ~ClientSink() = default;

  // At most once per result set, before its first row. Portals: only if the Describe was fused into the Execute.
  virtual void RowDescription(const Fields& fields) = 0;
  // A fused Describe found that the portal returns no rows.
  virtual void NoData() = 0;
  // The next slice of the exact byte stream of DataRow messages ('D' frames). `rows` = frames completed in it;
  // `row_in_progress` = it ends inside a frame: if the statement then fails, nothing more can be sent to this client
  // and the handler closes its connection without an ErrorResponse.
  virtual void DataRows(std::string&& frames, std::uint32_t rows, bool row_in_progress) = 0;
  virtual void CommandComplete(std::string_view tag) = 0;
  virtual void EmptyQuery() = 0;
  virtual void PortalSuspended() = 0;
  // Sent (flushed) at once.
  virtual void Notice(const PgDiagnostic& notice) = 0;

  virtual void CopyInResponse(std::int32_t format, std::span<const std::int32_t> column_formats) = 0;
  virtual void CopyOutResponse(std::int32_t format, std::span<const std::int32_t> column_formats) = 0;
  virtual void CopyData(std::string&& data) = 0;
  virtual void CopyDone() = 0;
  // The client's next message of a COPY FROM STDIN, what is buffered for it flushed first. Flush and Sync are skipped.
  // Any other message is an error of the client: 08P01. Errors: 08P01, CANCELED when the connection is gone or the
  // cancel token given to the executor fires.
  virtual Awaitable<Result<CopyInput>> ReadCopyInput() = 0;

  // More is waiting for the client than should be held in memory.
  virtual bool Overfull() const = 0;
  // Writes until that is no longer so. CANCELED if the connection is gone.
  virtual Awaitable<Result<>> Flush() = 0;
};

}  // namespace multigres::gateway::engine
