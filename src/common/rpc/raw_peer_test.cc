#include "common/rpc/raw_peer.h"

#include <cstring>
#include <span>

namespace multigres::rpc {

struct RawPeer::Callbacks {
  static RawPeer& Self(void* user_data) { return *static_cast<RawPeer*>(user_data); }
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user_data) {
    Self(user_data).streams_[frame->hd.stream_id].headers[std::string(reinterpret_cast<const char*>(name), name_size)] =
        std::string(reinterpret_cast<const char*>(value), value_size);
    return 0;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    auto& self = Self(user_data);
    if (frame->hd.type == NGHTTP2_GOAWAY) self.goaway_ = true;
    const bool carries_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      self.streams_[frame->hd.stream_id].ended = true;
    }
    return 0;
  }
  static int OnData(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                    void* user_data) {
    Self(user_data).streams_[id].data.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int OnClose(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user_data) {
    Self(user_data).streams_[id].closed = true;
    Self(user_data).streams_[id].error = error;
    return 0;
  }
  static ssize_t ReadBody(nghttp2_session*, std::int32_t id, std::uint8_t* buffer, std::size_t length,
                          std::uint32_t* flags, nghttp2_data_source*, void* user_data) {
    std::string& body = Self(user_data).bodies_[id];
    const std::size_t size = std::min(length, body.size());
    std::memcpy(buffer, body.data(), size);
    body.erase(0, size);
    if (body.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
};

namespace {

std::vector<nghttp2_nv> NameValues(const RawPeer::Headers& headers) {
  std::vector<nghttp2_nv> values;
  for (const auto& [name, value] : headers) {
    values.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                      NGHTTP2_NV_FLAG_NONE});
  }
  return values;
}

}  // namespace

RawPeer::RawPeer(std::unique_ptr<ByteStream> stream, bool is_server, std::uint32_t max_streams)
    : stream_(std::move(stream)) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::OnClose);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_max_send_header_block_length(option, 4 << 20);
  nghttp2_option_set_max_continuations(option, 1000);
  if (is_server) {
    nghttp2_session_server_new2(&session_, callbacks, this, option);
  } else {
    nghttp2_session_client_new2(&session_, callbacks, this, option);
  }
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry limit{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &limit, max_streams == 0 ? 0 : 1);
}

RawPeer::~RawPeer() {
  nghttp2_session_del(session_);
}

RawPeer::Headers RawPeer::GrpcHeaders(std::string path) {
  return {{":method", "POST"},
          {":scheme", "http"},
          {":path", std::move(path)},
          {":authority", "test"},
          {"content-type", "application/grpc"},
          {"te", "trailers"}};
}

std::int32_t RawPeer::Request(const Headers& headers, std::string body) {
  const auto values = NameValues(headers);
  nghttp2_data_provider provider{.source = {.ptr = nullptr}, .read_callback = Callbacks::ReadBody};
  const std::int32_t id = nghttp2_submit_request(session_, nullptr, values.data(), values.size(), &provider, nullptr);
  bodies_[id] = std::move(body);
  return id;
}

void RawPeer::Respond(std::int32_t id, const Headers& headers) {
  const auto values = NameValues(headers);
  nghttp2_submit_response(session_, id, values.data(), values.size(), nullptr);
}

void RawPeer::Reset(std::int32_t id, std::uint32_t error) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, error);
}

Awaitable<bool> RawPeer::Flush() {
  while (true) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) co_return false;
    if (size == 0) co_return true;
    const std::string copy(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    auto written = co_await WriteAll(*stream_, std::as_bytes(std::span(copy)));
    if (!written) co_return false;
  }
}

Awaitable<bool> RawPeer::ReadSome() {
  auto readable = co_await stream_->WaitReadable();
  if (!readable) co_return false;
  std::byte buffer[4096];
  auto outcome = stream_->TryRead(buffer);
  if (!outcome || outcome->status == IoStatus::kEof) co_return false;
  if (outcome->status == IoStatus::kWouldBlock) co_return true;
  co_return nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(buffer), outcome->bytes) >= 0;
}

std::string Framed(std::string_view message, char compressed) {
  std::string frame(1, compressed);
  for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(message.size() >> shift));
  return frame.append(message);
}

}  // namespace multigres::rpc
