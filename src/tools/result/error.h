// The one error type of the project and the result that carries it.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace multigres {

// gRPC status codes 1 to 16 plus three of our own (mtrpc.proto), which travel as UNKNOWN on the wire.
enum class Code : int {
  kOk = 0,
  kCanceled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
  kClusterEvent = 17,
  kReadOnly = 18,
  kPreExecutionUnavailable = 19,
};

// "NOT_FOUND" and so on.
std::string_view CodeName(Code code);

// Did the failed operation happen? Retries and failover decide on this and never on a text.
enum class Execution : std::uint8_t {
  kMayHaveExecuted,
  kDidNotExecute,
  kExecuted,
};

// The fields of a PostgreSQL ErrorResponse or NoticeResponse (manual, "Error and Notice Message Fields").
// Empty string or 0 = field absent.
struct PgDiagnostic {
  char message_type = 'E';  // 'E' error, 'N' notice
  std::string severity;     // V field: ERROR, FATAL, PANIC, WARNING, NOTICE, ...
  std::string code;         // SQLSTATE
  std::string message;
  std::string detail;
  std::string hint;
  std::int32_t position = 0;  // 1-based character index
  std::int32_t internal_position = 0;
  std::string internal_query;
  std::string where;
  std::string schema_name;
  std::string table_name;
  std::string column_name;
  std::string data_type_name;
  std::string constraint_name;
};

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  // An error that a PostgreSQL client sees with this SQLSTATE.
  Error(Code code, std::string sqlstate, std::string message)
      : code_(code), sqlstate_(std::move(sqlstate)), message_(std::move(message)) {}
  // An error that a PostgreSQL server raised (or that shall look exactly so).
  static Error FromDiagnostic(PgDiagnostic diagnostic, Code code = Code::kUnknown);

  Code code() const { return code_; }
  // SQLSTATE, or empty where there is none.
  const std::string& sqlstate() const { return sqlstate_; }
  const std::string& message() const { return message_; }
  Execution execution() const { return execution_; }
  // Null unless PostgreSQL gave one.
  const std::shared_ptr<const PgDiagnostic>& diagnostic() const { return diagnostic_; }
  // Serialized google.rpc.Status as it came in (or shall go out) in grpc-status-details-bin; empty = none.
  const std::string& status_details() const { return status_details_; }

  // Context, added on the way up: "open promise file: permission denied".
  // By value: `error = std::move(error).With(...)` must not be a move onto itself.
  Error With(std::string_view context) &&;
  Error WithExecution(Execution execution) &&;
  Error WithStatusDetails(std::string details) &&;

  // "UNAVAILABLE: open promise file: permission denied", for logs and the CLI.
  std::string ToString() const;

 private:
  Code code_;
  Execution execution_ = Execution::kMayHaveExecuted;
  std::string sqlstate_;
  std::string message_;
  std::string status_details_;
  std::shared_ptr<const PgDiagnostic> diagnostic_;
};

template <class T = void>
using Result = std::expected<T, Error>;

// return Fail(Code::kNotFound, "cell 'x' not found");
inline std::unexpected<Error> Fail(Code code, std::string message) {
  return std::unexpected(Error(code, std::move(message)));
}
inline std::unexpected<Error> Fail(Code code, std::string sqlstate, std::string message) {
  return std::unexpected(Error(code, std::move(sqlstate), std::move(message)));
}
// Passes on the error of a result, with context.
template <class T>
std::unexpected<Error> Fail(std::expected<T, Error>&& result, std::string_view context) {
  return std::unexpected(std::move(result.error()).With(context));
}

}  // namespace multigres
