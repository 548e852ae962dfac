#include "common/pgwire/wire_reader.h"

namespace multigres::pgwire {

std::string_view WireReader::Bytes(std::size_t count) {
  if (count > rest_.size()) {
    FailNow();
    return {};
  }
  const auto bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

std::uint8_t WireReader::Byte() {
  const auto bytes = Bytes(1);
  return bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
}

std::uint16_t WireReader::Int16() {
  const auto bytes = Bytes(2);
  return bytes.empty() ? 0 : Int16List(bytes)[0];
}

std::uint32_t WireReader::Int32() {
  const auto bytes = Bytes(4);
  return bytes.empty() ? 0 : Int32List(bytes)[0];
}

std::uint64_t WireReader::Int64() {
  const std::uint64_t high = Int32();
  return high << 32 | Int32();
}

std::string_view WireReader::CString() {
  const auto nul = rest_.find('\0');
  if (nul == std::string_view::npos) {
    FailNow();
    return {};
  }
  const auto text = rest_.substr(0, nul);
  rest_.remove_prefix(nul + 1);
  return text;
}

std::optional<std::string_view> WireReader::Field() {
  const auto length = static_cast<std::int32_t>(Int32());
  if (length == -1 || !ok_) return std::nullopt;
  if (length < 0) {
    FailNow();
    return std::nullopt;
  }
  return Bytes(static_cast<std::size_t>(length));
}

std::string_view WireReader::Rest() {
  return Bytes(rest_.size());
}

Result<> WireReader::Done(std::string_view message) const {
  if (ok_ && rest_.empty()) return {};
  return std::unexpected(InvalidMessage(message));
}

Error InvalidMessage(std::string_view message) {
  return Error(Code::kInvalidArgument, "08P01", "invalid " + std::string(message) + " message");
}

Int16List ReadInt16List(WireReader& reader) {
  const std::size_t count = reader.Int16();
  return Int16List(reader.Bytes(count * 2));
}

Int32List ReadInt32List(WireReader& reader) {
  const std::size_t count = reader.Int16();
  return Int32List(reader.Bytes(count * 4));
}

FieldList ReadFieldList(WireReader& reader) {
  const std::uint16_t count = reader.Int16();
  WireReader ahead = reader;
  for (std::uint16_t i = 0; i < count && ahead.ok(); ++i) ahead.Field();
  if (!ahead.ok()) {
    reader.FailNow();
    return {};
  }
  return {count, reader.Bytes(reader.remaining() - ahead.remaining())};
}

}  // namespace multigres::pgwire
