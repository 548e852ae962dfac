#include "common/rpc/message_frame.h"

#include <fmt/format.h>

#include "common/rpc/service.h"

namespace multigres::rpc {

FramePrefix ParseFramePrefix(const std::uint8_t* bytes) {
  return {.compressed = bytes[0] != 0,
          .length = static_cast<std::uint32_t>(bytes[1]) << 24 | static_cast<std::uint32_t>(bytes[2]) << 16 |
                    static_cast<std::uint32_t>(bytes[3]) << 8 | bytes[4]};
}

Result<> AppendMessage(const google::protobuf::MessageLite& message, SliceQueue& queue) {
  const std::size_t size = message.ByteSizeLong();
  if (size > kMaxMessageBytes) {
    return Fail(Code::kResourceExhausted,
                fmt::format("trying to send message larger than max ({} vs. {})", size, kMaxMessageBytes));
  }
  std::uint8_t* bytes = queue.Extend(kFramePrefixBytes + size);
  bytes[0] = 0;
  bytes[1] = static_cast<std::uint8_t>(size >> 24);
  bytes[2] = static_cast<std::uint8_t>(size >> 16);
  bytes[3] = static_cast<std::uint8_t>(size >> 8);
  bytes[4] = static_cast<std::uint8_t>(size);
  message.SerializeWithCachedSizesToArray(bytes + kFramePrefixBytes);
  return {};
}

}  // namespace multigres::rpc
