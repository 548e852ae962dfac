// Text for proto3's string fields, which a receiver refuses unless they are UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace multigres::mterrors {

// The text itself if it is UTF-8, else with U+FFFD for each byte that isn't. (A diagnostic is in the client's
// encoding.)
std::string ToUtf8(std::string text);

// The longest prefix of at most `limit` bytes that doesn't end inside a character; `text` is UTF-8.
std::string_view CutUtf8(std::string_view text, std::size_t limit);

}  // namespace multigres::mterrors
