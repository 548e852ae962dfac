#include "common/pgwire/startup.h"

#include "common/pgwire/wire_reader.h"

namespace multigres::pgwire {

namespace {

std::unexpected<Error> Violation(std::string message) {
  return Fail(Code::kInvalidArgument, "08P01", std::move(message));
}

Result<StartupPacket> ReadCancel(WireReader reader) {
  StartupPacket packet;
  packet.kind = StartupKind::kCancelRequest;
  packet.process_id = static_cast<std::int32_t>(reader.Int32());
  packet.secret_key = reader.Rest();
  if (!reader.ok() || packet.secret_key.size() < kMinCancelKey) {
    return Violation("invalid length of cancel request packet");
  }
  if (packet.secret_key.size() > kMaxCancelKey) {
    return Violation("invalid length of cancel key in cancel request packet");
  }
  return packet;
}

Result<StartupPacket> ReadBare(WireReader reader, StartupKind kind, std::string_view name) {
  StartupPacket packet;
  packet.kind = kind;
  auto done = reader.Done(name);
  if (!done) return std::unexpected(std::move(done.error()));
  return packet;
}

Result<StartupPacket> ReadStartup(WireReader reader, std::uint32_t version) {
  StartupPacket packet;
  packet.protocol_version = version;
  if (MajorOf(version) != 3) return packet;
  while (true) {
    const auto name = reader.CString();
    if (!reader.ok()) return Violation("invalid startup packet layout: expected terminator as last byte");
    if (name.empty()) break;
    const auto value = reader.CString();
    if (!reader.ok()) return Violation("invalid startup packet layout: expected terminator as last byte");
    packet.parameters.emplace_back(name, value);
  }
  if (reader.remaining() > 0) return Violation("invalid startup packet layout: expected terminator as last byte");
  return packet;
}

}  // namespace

Result<StartupPacket> ReadStartupPacket(std::string_view packet) {
  WireReader reader(packet);
  const std::uint32_t code = reader.Int32();
  if (!reader.ok()) return Violation("invalid length of startup packet");
  switch (code) {
    case kCancelRequestCode:
      return ReadCancel(reader);
    case kSslRequestCode:
      return ReadBare(reader, StartupKind::kSslRequest, "SSLRequest");
    case kGssencRequestCode:
      return ReadBare(reader, StartupKind::kGssencRequest, "GSSENCRequest");
    default:
      return ReadStartup(reader, code);
  }
}

void WriteStartupMessage(WireWriter& out, std::uint32_t version, std::span<const StartupParameter> parameters) {
  out.BeginUntyped();
  out.Int32(version);
  for (const auto& [name, value] : parameters) {
    out.CString(name);
    out.CString(value);
  }
  out.Byte('\0');
  out.End();
}

void WriteSslRequest(WireWriter& out) {
  out.BeginUntyped();
  out.Int32(kSslRequestCode);
  out.End();
}

void WriteGssencRequest(WireWriter& out) {
  out.BeginUntyped();
  out.Int32(kGssencRequestCode);
  out.End();
}

void WriteCancelRequest(WireWriter& out, std::int32_t process_id, std::string_view secret_key) {
  out.BeginUntyped();
  out.Int32(kCancelRequestCode);
  out.Int32(static_cast<std::uint32_t>(process_id));
  out.Bytes(secret_key);
  out.End();
}

}  // namespace multigres::pgwire
