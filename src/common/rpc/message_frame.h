// The frame around a message on a gRPC stream: one byte "compressed", four bytes length, big-endian.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstdint>

#include "common/rpc/slice_queue.h"
#include "tools/result/error.h"

namespace multigres::rpc {

inline constexpr std::size_t kFramePrefixBytes = 5;

struct FramePrefix {
  bool compressed = false;
  std::uint32_t length = 0;
};
FramePrefix ParseFramePrefix(const std::uint8_t* bytes);

// Serialises prefix and message straight into the queue. RESOURCE_EXHAUSTED over kMaxMessageBytes.
Result<> AppendMessage(const google::protobuf::MessageLite& message, SliceQueue& queue);

}  // namespace multigres::rpc
