#include "common/pgwire/wire_writer.h"

namespace multigres::pgwire {

void WireWriter::Begin(char type) {
  Byte(type);
  length_at_ = size();
  Int32(0);
}

void WireWriter::BeginUntyped() {
  length_at_ = size();
  Int32(0);
}

void WireWriter::End() {
  const auto length = static_cast<std::uint32_t>(size() - length_at_);
  const char bytes[4] = {static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                         static_cast<char>(length >> 8), static_cast<char>(length)};
  buffer_.Overwrite(length_at_, {bytes, 4});
}

void WireWriter::CString(std::string_view text) {
  const auto nul = text.find('\0');
  buffer_.Append(text.substr(0, nul));
  Byte('\0');
}

void WireWriter::Field(std::optional<std::string_view> value) {
  if (!value) return Int32(0xffffffffu);
  Int32(static_cast<std::uint32_t>(value->size()));
  buffer_.Append(*value);
}

}  // namespace multigres::pgwire
