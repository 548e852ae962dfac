#include "services/multigateway/engine/error_rewrite.h"

namespace multigres::gateway::engine {
namespace {

Error Rewritten(const Error& error, PgDiagnostic diagnostic) {
  return Error::FromDiagnostic(std::move(diagnostic), error.code()).WithExecution(error.execution());
}

}  // namespace

Error ShiftPosition(Error error, std::string_view before) {
  if (before.empty() || error.diagnostic() == nullptr || error.diagnostic()->position <= 0) return error;
  PgDiagnostic diagnostic = *error.diagnostic();
  for (char c : before) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) diagnostic.position++;
  }
  return Rewritten(error, std::move(diagnostic));
}

Error AtPosition(Error error, std::int32_t position) {
  if (error.diagnostic() == nullptr || error.diagnostic()->position == position) return error;
  PgDiagnostic diagnostic = *error.diagnostic();
  diagnostic.position = position;
  return Rewritten(error, std::move(diagnostic));
}

Error WithClientsName(Error error, std::string_view name) {
  static constexpr std::string_view kPoolersName = "\"ppstmt";
  if (error.diagnostic() == nullptr) return error;
  const std::string& message = error.diagnostic()->message;
  std::size_t begin = message.find(kPoolersName);
  if (begin == std::string::npos) return error;
  std::size_t end = message.find('"', begin + 1);
  if (end == std::string::npos) return error;
  PgDiagnostic diagnostic = *error.diagnostic();
  diagnostic.message.replace(begin + 1, end - begin - 1, name);
  return Rewritten(error, std::move(diagnostic));
}

}  // namespace multigres::gateway::engine
