#include "common/pgwire/framing.h"

#include "common/pgwire/wire_reader.h"

namespace multigres::pgwire {

Result<std::optional<FrameHeader>> PeekHeader(std::string_view bytes, std::uint32_t max_body) {
  if (bytes.size() < kFrameHeaderSize) return std::nullopt;
  const std::uint32_t length = Int32List(bytes.substr(1, 4))[0];
  if (length < 4 || length - 4 > max_body) return Fail(Code::kInvalidArgument, "08P01", "invalid message length");
  return FrameHeader{bytes[0], length - 4};
}

Result<std::optional<Frame>> PeekFrame(std::string_view bytes, std::uint32_t max_body) {
  auto header = PeekHeader(bytes, max_body);
  if (!header) return std::unexpected(std::move(header.error()));
  if (!*header || bytes.size() < (*header)->frame_size()) return std::nullopt;
  return Frame{(*header)->type, bytes.substr(kFrameHeaderSize, (*header)->body_size)};
}

std::optional<std::uint32_t> MaxFrontendBody(char type) {
  constexpr std::uint32_t kSmall = 10000;
  switch (type) {
    case kQuery:
    case kFunctionCall:
    case kBind:
    case kParse:
    case kCopyData:
      return kMaxBody;
    case kPassword:
      return 65535;
    case kTerminate:
    case kClose:
    case kDescribe:
    case kExecute:
    case kFlush:
    case kSync:
    case kCopyDone:
    case kCopyFail:
      return kSmall;
    default:
      return std::nullopt;
  }
}

Result<std::optional<std::string_view>> PeekStartupPacket(std::string_view bytes, std::uint32_t max_size) {
  if (bytes.size() < 4) return std::nullopt;
  const std::uint32_t length = Int32List(bytes.substr(0, 4))[0];
  if (length < 8 || length > max_size) {
    return Fail(Code::kInvalidArgument, "08P01", "invalid length of startup packet");
  }
  if (bytes.size() < length) return std::nullopt;
  return bytes.substr(4, length - 4);
}

FrameRun MeasureRun(std::string_view bytes, char type, std::size_t max_bytes) {
  FrameRun run;
  while (bytes.size() - run.bytes >= kFrameHeaderSize && bytes[run.bytes] == type) {
    const std::uint32_t length = Int32List(bytes.substr(run.bytes + 1, 4))[0];
    const std::size_t frame = std::size_t{length} + 1;
    if (length < 4 || frame > bytes.size() - run.bytes) break;
    if (run.frames > 0 && run.bytes + frame > max_bytes) break;
    run.bytes += frame;
    ++run.frames;
  }
  return run;
}

}  // namespace multigres::pgwire
