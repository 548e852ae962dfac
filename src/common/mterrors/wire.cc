#include "common/mterrors/wire.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "common/mterrors/conditions.h"
#include "common/mterrors/diagnostic_proto.h"
#include "common/mterrors/utf8.h"
#include "google/rpc/status.pb.h"
#include "mtrpc.pb.h"
#include "query.pb.h"

namespace multigres::mterrors {
namespace {

// Four characters of base64 are three bytes.
constexpr std::size_t kMaxDetailBytes = kMaxEncodedDetailBytes / 4 * 3;
// Tags and lengths around the texts, in Any and in Status, grow by a few bytes with them.
constexpr std::size_t kFramingSlack = 64;

bool IsGrpcCode(Code code) {
  return code > Code::kOk && code <= Code::kUnauthenticated;
}

Code WireCode(Code code) {
  return IsGrpcCode(code) ? code : Code::kUnknown;
}

Code HonestCode(const Error& error) {
  const bool unproven =
      error.code() == Code::kPreExecutionUnavailable && error.execution() != Execution::kDidNotExecute;
  return unproven ? Code::kUnavailable : error.code();
}

::mtrpc::Execution ExecutionProto(Execution execution) {
  switch (execution) {
    case Execution::kMayHaveExecuted:
      return ::mtrpc::EXECUTION_MAY_HAVE_EXECUTED;
    case Execution::kDidNotExecute:
      return ::mtrpc::EXECUTION_DID_NOT_EXECUTE;
    case Execution::kExecuted:
      return ::mtrpc::EXECUTION_EXECUTED;
  }
  return ::mtrpc::EXECUTION_MAY_HAVE_EXECUTED;
}

Execution ExecutionOf(const ::mtrpc::RPCError& error) {
  if (error.code() == ::mtrpc::PRE_EXECUTION_UNAVAILABLE) return Execution::kDidNotExecute;
  switch (error.execution()) {
    case ::mtrpc::EXECUTION_DID_NOT_EXECUTE:
      return Execution::kDidNotExecute;
    case ::mtrpc::EXECUTION_EXECUTED:
      return Execution::kExecuted;
    default:
      return Execution::kMayHaveExecuted;
  }
}

Code CodeOf(const ::mtrpc::RPCError& error) {
  const bool known = error.code() > ::mtrpc::OK && ::mtrpc::Code_IsValid(error.code());
  return known ? static_cast<Code>(error.code()) : Code::kUnknown;
}

::mtrpc::RPCError ToRpcError(const Error& error) {
  ::mtrpc::RPCError rpc;
  const std::string message = ToUtf8(error.message());
  rpc.set_message(std::string(CutUtf8(message, kMaxMessageBytes)));
  rpc.set_code(static_cast<::mtrpc::Code>(HonestCode(error)));
  rpc.set_execution(ExecutionProto(error.execution()));
  if (error.diagnostic() != nullptr) {
    ToProto(*error.diagnostic(), *rpc.mutable_pg_diagnostic());
  } else if (!error.sqlstate().empty()) {
    ToProto({.severity = "ERROR", .code = error.sqlstate(), .message = error.message()}, *rpc.mutable_pg_diagnostic());
  }
  return rpc;
}

std::vector<std::string*> Texts(::mtrpc::RPCError& rpc) {
  std::vector<std::string*> texts = {rpc.mutable_message()};
  if (!rpc.has_pg_diagnostic()) return texts;
  ::query::PgDiagnostic& diagnostic = *rpc.mutable_pg_diagnostic();
  for (std::string* text :
       {diagnostic.mutable_severity(), diagnostic.mutable_code(), diagnostic.mutable_message(),
        diagnostic.mutable_detail(), diagnostic.mutable_hint(), diagnostic.mutable_internal_query(),
        diagnostic.mutable_where(), diagnostic.mutable_schema_name(), diagnostic.mutable_table_name(),
        diagnostic.mutable_column_name(), diagnostic.mutable_data_type_name(), diagnostic.mutable_constraint_name()}) {
    texts.push_back(text);
  }
  return texts;
}

// The greatest length that all texts may keep for their sum to be at most `budget`.
std::size_t CommonLimit(const std::vector<std::string*>& texts, std::size_t budget) {
  std::vector<std::size_t> lengths;
  lengths.reserve(texts.size());
  for (const std::string* text : texts) lengths.push_back(text->size());
  std::ranges::sort(lengths);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::size_t share = budget / (lengths.size() - i);
    if (lengths[i] > share) return share;
    budget -= lengths[i];
  }
  return lengths.back();
}

::google::rpc::Status ToStatus(Code code, const ::mtrpc::RPCError& rpc, const ::query::ReservedState* reserved_state) {
  ::google::rpc::Status status;
  status.set_code(static_cast<int>(code));
  status.set_message(rpc.message());
  status.add_details()->PackFrom(rpc);
  if (reserved_state != nullptr) status.add_details()->PackFrom(*reserved_state);
  return status;
}

// True if nothing had to be cut. The message is counted twice: it is in Status and in RPCError.
bool CutToFit(::mtrpc::RPCError& rpc, std::size_t status_bytes) {
  if (status_bytes <= kMaxDetailBytes) return true;
  std::vector<std::string*> texts = Texts(rpc);
  texts.push_back(rpc.mutable_message());
  std::size_t text_bytes = 0;
  for (const std::string* text : texts) text_bytes += text->size();
  const std::size_t framing = status_bytes - text_bytes + kFramingSlack;
  const std::size_t limit = CommonLimit(texts, kMaxDetailBytes - std::min(framing, kMaxDetailBytes));
  for (std::string* text : texts) text->resize(CutUtf8(*text, limit).size());
  return false;
}

template <class Message>
std::optional<Message> FindDetail(const Error& error) {
  ::google::rpc::Status status;
  if (error.status_details().empty() || !status.ParseFromString(error.status_details())) return std::nullopt;
  for (const auto& detail : status.details()) {
    Message message;
    if (detail.UnpackTo(&message)) return message;
  }
  return std::nullopt;
}

Error ToCancelError(const Error& error, CancelReason reason) {
  const bool timeout =
      reason == CancelReason::kDeadline || (reason == CancelReason::kNone && error.code() == Code::kDeadlineExceeded);
  return timeout ? StatementTimeout() : CanceledByUser();
}

Error FromRpcError(const ::mtrpc::RPCError& rpc) {
  const Code code = CodeOf(rpc);
  if (rpc.has_pg_diagnostic()) return Error::FromDiagnostic(FromProto(rpc.pg_diagnostic()), code);
  if (code == Code::kPreExecutionUnavailable) return TemporarilyUnavailable();
  return {code, rpc.message()};
}

}  // namespace

Error ToWire(const Error& error, const ::query::ReservedState* reserved_state) {
  const Code code = WireCode(HonestCode(error));
  ::mtrpc::RPCError rpc = ToRpcError(error);
  ::google::rpc::Status status = ToStatus(code, rpc, reserved_state);
  if (!CutToFit(rpc, status.ByteSizeLong())) status = ToStatus(code, rpc, reserved_state);
  return Error(code, rpc.message()).WithExecution(error.execution()).WithStatusDetails(status.SerializeAsString());
}

bool FitsTheWire(const Error& error) {
  if (error.diagnostic() == nullptr) return true;
  const ::mtrpc::RPCError rpc = ToRpcError(error);
  // The reserved state's share: three numbers and a pooler's id.
  static constexpr std::size_t kReservedStateBytes = 512;
  return ToStatus(WireCode(HonestCode(error)), rpc, nullptr).ByteSizeLong() + kReservedStateBytes <= kMaxDetailBytes;
}

Error FromWire(const Error& error, CancelReason reason) {
  if (error.code() == Code::kCanceled || error.code() == Code::kDeadlineExceeded) {
    return ToCancelError(error, reason)
        .WithExecution(error.execution())
        .WithStatusDetails(std::string(error.status_details()));
  }
  if (const auto rpc = FindDetail<::mtrpc::RPCError>(error)) {
    return FromRpcError(*rpc).WithExecution(ExecutionOf(*rpc)).WithStatusDetails(std::string(error.status_details()));
  }
  if (error.code() == Code::kUnavailable && error.execution() == Execution::kDidNotExecute) {
    return TemporarilyUnavailable();
  }
  return error;
}

std::unique_ptr<::query::ReservedState> ReservedStateOf(const Error& error) {
  auto state = FindDetail<::query::ReservedState>(error);
  return state ? std::make_unique<::query::ReservedState>(std::move(*state)) : nullptr;
}

}  // namespace multigres::mterrors
