#include "tools/result/error.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "tools/result/check.h"

namespace multigres {

std::string_view CodeName(Code code) {
  static constexpr std::array<std::string_view, 20> kNames = {
      "OK",        "CANCELED",        "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED", "CLUSTER_EVENT",     "READ_ONLY",          "PRE_EXECUTION_UNAVAILABLE"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

Error Error::FromDiagnostic(PgDiagnostic diagnostic, Code code) {
  Error error(code, diagnostic.code, diagnostic.message);
  error.execution_ = Execution::kExecuted;
  error.diagnostic_ = std::make_shared<const PgDiagnostic>(std::move(diagnostic));
  return error;
}

Error Error::With(std::string_view context) && {
  message_.insert(0, ": ").insert(0, context);
  return std::move(*this);
}

Error Error::WithExecution(Execution execution) && {
  execution_ = execution;
  return std::move(*this);
}

Error Error::WithStatusDetails(std::string details) && {
  status_details_ = std::move(details);
  return std::move(*this);
}

std::string Error::ToString() const {
  std::string text(CodeName(code_));
  if (!sqlstate_.empty()) text.append(" [").append(sqlstate_).append("]");
  return text.append(": ").append(message_);
}

void CheckFailed(std::string_view condition, std::string_view message, const std::source_location& where) {
  std::fprintf(stderr, "CHECK failed at %s:%u: %.*s%s%.*s\n", where.file_name(), static_cast<unsigned>(where.line()),
               static_cast<int>(condition.size()), condition.data(), message.empty() ? "" : ": ",
               static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace multigres
