// Text for those that take UTF-8 only: gRPC's status message and google.rpc.Status.
#pragma once

#include <string>
#include <string_view>

namespace multigres::mterrors {

// The text itself if it is UTF-8, else with U+FFFD for each byte that isn't. (A diagnostic is in the client's
// encoding.)
std::string ToUtf8(std::string text);

// The longest prefix of at most `limit` bytes that doesn't end inside a character of UTF-8 (other encodings may lose up
// to three bytes more).
std::string_view CutUtf8(std::string_view text, std::size_t limit);

}  // namespace multigres::mterrors
