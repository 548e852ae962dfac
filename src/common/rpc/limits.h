// Sizes that both sides of the runtime keep to.
#pragma once

#include <cstddef>
#include <cstdint>

namespace multigres::rpc {

// A message that finds more than this queued before it waits until the peer has taken some.
inline constexpr std::size_t kSendQueueBytes = 1024 * 1024;

// Flow-control windows that we grant.
inline constexpr std::uint32_t kStreamWindowBytes = 1024 * 1024;
inline constexpr std::uint32_t kConnectionWindowBytes = 16 * 1024 * 1024;
// Streams' unread bytes up to this much don't hold back the rest of their connection.
inline constexpr std::size_t kConnectionBufferBytes = 64 * 1024 * 1024;

// Calls that one client connection may have open; more wait on the client's side.
inline constexpr std::uint32_t kMaxConcurrentStreams = 100'000;

// One header as it goes over the wire (base64 for -bin). nghttp2 ends the whole connection when it receives a name or a
// value of more than 64 KiB (NGHTTP2_HD_MAX_NV), so none may be sent.
inline constexpr std::size_t kMaxHeaderBytes = 63 * 1024;
// A header list, counted as in RFC 9113 6.5.2 (32 bytes on top of each pair); we announce it as
// SETTINGS_MAX_HEADER_LIST_SIZE. It is 16 frames of the default size, so receivers allow that many CONTINUATIONs.
inline constexpr std::size_t kMaxHeaderListBytes = 256 * 1024;
inline constexpr std::size_t kMaxContinuations = 64;
inline constexpr std::size_t kHeaderOverheadBytes = 32;

}  // namespace multigres::rpc
