#include "services/multigateway/engine/error_position.h"

namespace multigres::gateway::engine {

Error ShiftPosition(Error error, std::string_view before) {
  if (before.empty() || error.diagnostic() == nullptr || error.diagnostic()->position <= 0) return error;
  PgDiagnostic diagnostic = *error.diagnostic();
  for (char c : before) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) diagnostic.position++;
  }
  return Error::FromDiagnostic(std::move(diagnostic), error.code()).WithExecution(error.execution());
}

}  // namespace multigres::gateway::engine
