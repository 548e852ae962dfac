#include "common/pgwire/wire_writer.h"

namespace multigres::pgwire {

void WireWriter::Begin(char type) {
  const char header[5] = {type, 0, 0, 0, 0};
  length_at_ = size() + 1;
  buffer_.Append({header, 5});
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
  text = text.substr(0, text.find('\0'));
  const auto room = buffer_.Prepare(text.size() + 1);
  if (!text.empty()) std::memcpy(room.data(), text.data(), text.size());
  room[text.size()] = '\0';
  buffer_.Commit(text.size() + 1);
}

void WireWriter::Field(std::optional<std::string_view> value) {
  if (!value) return Int32(0xffffffffu);
  Int32(static_cast<std::uint32_t>(value->size()));
  buffer_.Append(*value);
}

}  // namespace multigres::pgwire
