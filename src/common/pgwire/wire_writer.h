// The buffer that messages are built in, and the integers and strings they are built of.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "common/pgwire/byte_buffer.h"

namespace multigres::pgwire {

// Message builders (frontend.h, backend.h, startup.h, diagnostic.h) append to one of these; its owner writes out view()
// and Consume()s what went. Integers are big-endian.
class WireWriter {
 public:
  std::string_view view() const { return buffer_.view(); }
  std::size_t size() const { return buffer_.size(); }
  bool empty() const { return buffer_.empty(); }
  void Consume(std::size_t count) { buffer_.Consume(count); }
  void Clear() { buffer_.Clear(); }
  void Release() { buffer_.Release(); }
  ByteBuffer& buffer() { return buffer_; }

  // Begin(type) ... End() frame one message: type, length word, body. Not nested, and nothing is consumed in between.
  void Begin(char type);
  // Startup packets have no type.
  void BeginUntyped();
  void End();
  // Takes back what has been appended since `size` (a size() of before): a message that turned out not to go.
  void Rewind(std::size_t size) { buffer_.Truncate(size); }

  void Byte(char value) { buffer_.Append({&value, 1}); }
  void Int16(std::uint16_t value) {
    const char bytes[2] = {static_cast<char>(value >> 8), static_cast<char>(value)};
    buffer_.Append({bytes, 2});
  }
  void Int32(std::uint32_t value) {
    const char bytes[4] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                           static_cast<char>(value >> 8), static_cast<char>(value)};
    buffer_.Append({bytes, 4});
  }
  void Int64(std::uint64_t value) {
    Int32(static_cast<std::uint32_t>(value >> 32));
    Int32(static_cast<std::uint32_t>(value));
  }
  void Bytes(std::string_view bytes) { buffer_.Append(bytes); }
  // With its terminator; a NUL inside the text would end it early, so the text is cut there.
  void CString(std::string_view text);
  // Length word and bytes; NULL is length -1.
  void Field(std::optional<std::string_view> value);

 private:
  ByteBuffer buffer_;
  std::size_t length_at_ = 0;
};

}  // namespace multigres::pgwire
