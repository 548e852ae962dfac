#include "common/mterrors/conditions.h"

#include "common/pgwire/diagnostic.h"

#include <fmt/format.h>

namespace multigres::mterrors {
namespace {

Error NotSent(Code code, std::string_view sqlstate, std::string_view message) {
  return Error(code, std::string(sqlstate), std::string(message)).WithExecution(Execution::kDidNotExecute);
}

}  // namespace

Error CanceledByUser() {
  return {Code::kCanceled, std::string(kQueryCanceled), "canceling statement due to user request"};
}

Error StatementTimeout() {
  return {Code::kDeadlineExceeded, std::string(kQueryCanceled), "canceling statement due to statement timeout"};
}

Error ReservedConnectionTerminated(std::uint64_t reserved_connection_id) {
  PgDiagnostic diagnostic;
  diagnostic.severity = "ERROR";
  diagnostic.code = kSerializationFailure;
  diagnostic.message = "reserved connection terminated; please retry";
  diagnostic.detail = fmt::format("reserved connection {} was terminated", reserved_connection_id);
  return Error::FromDiagnostic(std::move(diagnostic), Code::kAborted).WithExecution(Execution::kMayHaveExecuted);
}

Error OutcomeUnknown() {
  return OutcomeUnknown("connection to the database was lost");
}

Error OutcomeUnknown(std::string_view why) {
  return {Code::kUnavailable, std::string(kOutcomeUnknown),
          fmt::format("{}; the outcome of the statement is unknown", why)};
}

Error PlannedFailover() {
  return NotSent(Code::kClusterEvent, kPlannedFailover, "planned failover in progress");
}

Error WrongShard(std::string_view text) {
  return NotSent(Code::kFailedPrecondition, kWrongShard, fmt::format("[BUG] {}", text));
}

Error NoWritablePrimary() {
  return NotSent(Code::kUnavailable, kCannotConnectNow, "no writable primary is currently available");
}

Error NoReplica() {
  return NotSent(Code::kUnavailable, kCannotConnectNow, "no replica is currently available");
}

Error TemporarilyUnavailable() {
  return NotSent(Code::kPreExecutionUnavailable, kCannotConnectNow,
                 "database is temporarily unavailable; please retry");
}

Error TemporarilyUnavailable(PgDiagnostic diagnostic) {
  return Error::FromDiagnostic(std::move(diagnostic), Code::kPreExecutionUnavailable)
      .WithExecution(Execution::kDidNotExecute);
}

Error BufferFull() {
  return NotSent(Code::kUnavailable, kBufferFull, "failover buffer full");
}
Error BufferTimeout() {
  return NotSent(Code::kUnavailable, kBufferTimeout, "failover buffer timeout");
}
Error BufferShuttingDown() {
  return NotSent(Code::kUnavailable, kBufferShutdown, "failover buffer shutting down");
}

bool IsConnectionState(std::string_view sqlstate) {
  return pgwire::IsConnectionState(sqlstate);
}

bool EndsBackend(const PgDiagnostic& diagnostic) {
  return pgwire::EndsSession(diagnostic) || pgwire::IsConnectionState(diagnostic.code);
}

bool IsConnectionError(const Error& error) {
  return pgwire::IsConnectionError(error);
}

}  // namespace multigres::mterrors
