// Errors as they read for what the client has sent, where something else was sent on.
#pragma once

#include <cstdint>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::gateway::engine {

// Positions count from the text that was sent; the client's count from the text that it sent. `before`: what stands
// before the sent text in the client's. Errors without a position stay as they are.
Error ShiftPosition(Error error, std::string_view before);
// Gives it this position; 0 takes it away. Errors without a diagnostic stay as they are.
Error AtPosition(Error error, std::int32_t position);
// Puts the client's name for a prepared statement in the place of the pooler's ("ppstmt7").
Error WithClientsName(Error error, std::string_view name);

}  // namespace multigres::gateway::engine
