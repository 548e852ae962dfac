// Error positions count from the text that was sent; the client's count from the text that it sent.
#pragma once

#include <string_view>

#include "tools/result/error.h"

namespace multigres::gateway::engine {

// `before`: what stands before the sent text in the client's. Errors without a position stay as they are.
Error ShiftPosition(Error error, std::string_view before);

}  // namespace multigres::gateway::engine
