// Base64 as gRPC's "-bin" metadata uses it (RFC 4648, standard alphabet).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace multigres::rpc {

// Without padding, as the gRPC specification recommends to senders.
std::string EncodeBase64(std::string_view bytes);
// With or without padding; nothing if it isn't base64.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace multigres::rpc
