// Base64 (RFC 4648) in the strict form that SCRAM uses: padded, no line breaks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace multigres::auth {

std::string Base64Encode(std::string_view bytes);
// Nothing if the text isn't canonical base64.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace multigres::auth
