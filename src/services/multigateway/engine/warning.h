// Notices that the gateway raises itself.
#pragma once

#include <string>

#include "tools/result/error.h"

namespace multigres::gateway::engine {

inline PgDiagnostic Warning(std::string sqlstate, std::string message, std::string hint = "") {
  return {.message_type = 'N',
          .severity = "WARNING",
          .code = std::move(sqlstate),
          .message = std::move(message),
          .hint = std::move(hint)};
}

}  // namespace multigres::gateway::engine
