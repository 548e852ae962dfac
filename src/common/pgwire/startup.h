// The packets that open a connection: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "common/pgwire/protocol.h"
#include "common/pgwire/wire_writer.h"
#include "tools/result/error.h"

namespace multigres::pgwire {

enum class StartupKind : std::uint8_t { kStartup, kSslRequest, kGssencRequest, kCancelRequest };

struct StartupPacket {
  StartupKind kind = StartupKind::kStartup;
  // kStartup: the version asked for, and name/value pairs in the order sent (empty unless the major version is 3).
  std::uint32_t protocol_version = 0;
  std::vector<std::pair<std::string_view, std::string_view>> parameters;
  // kCancelRequest.
  std::int32_t process_id = 0;
  std::string_view secret_key;  // 4 to 256 bytes
};

// `packet` is what PeekStartupPacket() gave. 08P01 `invalid startup packet layout: expected terminator as last byte`,
// `invalid length of cancel request packet`, `invalid length of cancel key in cancel request packet`, `invalid
// SSLRequest message` (GSSENCRequest alike). Views point into `packet`.
Result<StartupPacket> ReadStartupPacket(std::string_view packet);

using StartupParameter = std::pair<std::string_view, std::string_view>;
void WriteStartupMessage(WireWriter& out, std::uint32_t version, std::span<const StartupParameter> parameters);
void WriteSslRequest(WireWriter& out);
void WriteGssencRequest(WireWriter& out);
void WriteCancelRequest(WireWriter& out, std::int32_t process_id, std::string_view secret_key);

}  // namespace multigres::pgwire
