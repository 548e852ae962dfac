// Cutting a byte stream into messages. Nothing is copied: frames are views into the caller's buffer.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/pgwire/protocol.h"
#include "tools/result/error.h"

namespace multigres::pgwire {

// One message: type, 32-bit length, body.
struct Frame {
  char type = 0;
  std::string_view body;

  std::size_t size() const { return kFrameHeaderSize + body.size(); }
};

struct FrameHeader {
  char type = 0;
  std::uint32_t body_size = 0;

  std::size_t frame_size() const { return kFrameHeaderSize + static_cast<std::size_t>(body_size); }
};

// The header at the front of `bytes`, or nothing if fewer than five bytes are there. 08P01 `invalid message length` if
// the length word is below 4 or the body above `max_body`: the stream is lost then, close it.
Result<std::optional<FrameHeader>> PeekHeader(std::string_view bytes, std::uint32_t max_body = kMaxBody);

// The whole message at the front of `bytes`, or nothing yet. Errors as PeekHeader().
Result<std::optional<Frame>> PeekFrame(std::string_view bytes, std::uint32_t max_body = kMaxBody);

// What PostgreSQL itself accepts of a frontend message of this type: 10000 bytes for the small ones, kMaxBody for those
// that carry user data, nothing for a type that no frontend sends.
std::optional<std::uint32_t> MaxFrontendBody(char type);

// The untyped packet at the front of `bytes` without its length word, or nothing yet. 08P01 `invalid length of startup
// packet` if the length word is below 8 or above `max_size` (bytes, itself included).
Result<std::optional<std::string_view>> PeekStartupPacket(std::string_view bytes,
                                                          std::uint32_t max_size = kMaxStartupPacket);

// Whole frames of one type at the front of a buffer.
struct FrameRun {
  std::size_t bytes = 0;
  std::uint32_t frames = 0;
};
// As many consecutive whole frames of `type` as fit into `max_bytes` (the first one whatever its size). A frame with a
// length word below 4 ends the run.
FrameRun MeasureRun(std::string_view bytes, char type, std::size_t max_bytes);

}  // namespace multigres::pgwire
