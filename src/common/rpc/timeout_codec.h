// The grpc-timeout header (gRPC over HTTP/2, "Timeout"): at most eight digits and a unit.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/clock/clock.h"

namespace multigres::rpc {

// Rounded up to the finest unit that eight digits can hold.
std::string EncodeTimeout(Duration timeout);
// Nothing if malformed; Duration::max() for what doesn't fit.
std::optional<Duration> DecodeTimeout(std::string_view text);

}  // namespace multigres::rpc
