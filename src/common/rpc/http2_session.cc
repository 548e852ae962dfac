#include "common/rpc/http2_session.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>
#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <array>
#include <cstring>

#include "common/rpc/limits.h"
#include "tools/result/check.h"

namespace multigres::rpc {

namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
// A connection with more to read than this lets the others of its reactor go first.
constexpr int kReadsPerWake = 4;
// Frames are made for as much as this before it is offered to the system.
constexpr std::size_t kOutputBatchBytes = 512 * 1024;
constexpr std::size_t kMaxIovecs = 256;
constexpr Duration kLinger = std::chrono::seconds(1);

// Calls that end early are normal here, and the peers are our own: the defence against reset floods is set where only
// a flood gets.
constexpr std::uint64_t kResetBurst = 1'000'000;
constexpr std::uint64_t kResetsPerSecond = 100'000;

// Filled and drained within one read; nothing is suspended meanwhile.
std::span<std::byte> ReadBuffer() {
  thread_local const std::unique_ptr<std::byte[]> buffer(new std::byte[kReadBytes]);
  return {buffer.get(), kReadBytes};
}

std::uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

boost::container::small_vector<nghttp2_nv, 16> NameValues(std::span<const HeaderField> headers) {
  boost::container::small_vector<nghttp2_nv, 16> values;
  for (const HeaderField& field : headers) {
    values.push_back({Bytes(field.name), Bytes(field.value), field.name.size(), field.value.size(),
                      static_cast<std::uint8_t>(field.repeats ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX)});
  }
  return values;
}

Error Http2Error(std::string_view what, int code) {
  return Error(Code::kUnavailable, fmt::format("{}: {}", what, nghttp2_strerror(code)));
}

}  // namespace

// nghttp2 calls these from within mem_recv and mem_send; they must not call either.
struct Http2Session::Callbacks {
  static Http2Session& Self(void* user_data) { return *static_cast<Http2Session*>(user_data); }
  // Null for streams that nobody cares about any more.
  static Http2Stream* Stream(Http2Session& self, std::int32_t id) {
    if (self.ended_) return nullptr;
    return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(self.session_, id));
  }

  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    auto& self = Self(user_data);
    if (frame->hd.type != NGHTTP2_HEADERS || self.ended_) return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      Http2Stream* stream = self.OnRequest();
      stream->session_ = &self;
      stream->id_ = frame->hd.stream_id;
      self.streams_.push_back(*stream);
      ++self.stream_count_;
      nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    } else if (Http2Stream* stream = Stream(self, frame->hd.stream_id)) {
      stream->header_list_bytes_ = 0;
    }
    return 0;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user_data) {
    auto& self = Self(user_data);
    Http2Stream* stream = Stream(self, frame->hd.stream_id);
    if (stream == nullptr || stream->headers_too_large_) return 0;
    stream->header_list_bytes_ += name_size + value_size + kHeaderOverheadBytes;
    if (stream->header_list_bytes_ > kMaxHeaderListBytes) {
      stream->headers_too_large_ = true;
      stream->OnHeadersTooLarge();
      return 0;
    }
    stream->OnHeader({reinterpret_cast<const char*>(name), name_size},
                     {reinterpret_cast<const char*>(value), value_size});
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    auto& self = Self(user_data);
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (Http2Stream* stream = Stream(self, frame->hd.stream_id)) stream->OnHeadersEnd(end);
        break;
      case NGHTTP2_DATA:
        if (Http2Stream* stream = Stream(self, frame->hd.stream_id); stream != nullptr && end) stream->OnDataEnd();
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) self.OnSettings();
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
          self.OnPing();
        } else {
          self.OnPingAck();
        }
        break;
      case NGHTTP2_GOAWAY:
        self.OnGoaway(frame->goaway.error_code,
                      {reinterpret_cast<const char*>(frame->goaway.opaque_data), frame->goaway.opaque_data_len});
        break;
      default:
        break;
    }
    return 0;
  }

  static int OnData(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                    void* user_data) {
    auto& self = Self(user_data);
    self.Received(Stream(self, id), {bytes, size});
    return 0;
  }

  static int OnStreamClose(nghttp2_session* session, std::int32_t id, std::uint32_t http2_error, void* user_data) {
    auto& self = Self(user_data);
    Http2Stream* stream = Stream(self, id);
    if (stream == nullptr) return 0;
    nghttp2_session_set_stream_user_data(session, id, nullptr);
    self.Forget(*stream);
    stream->OnClosed(http2_error);
    self.OnStreamGone();
    return 0;
  }

  static int BeforeFrameSend(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    auto& self = Self(user_data);
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    self.OnOutput();
    if (Http2Stream* stream = Stream(self, frame->hd.stream_id)) {
      stream->headers_offset_ = std::min(stream->headers_offset_, self.framed_bytes_);
    }
    return 0;
  }

  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    // The response is complete and the client still sending: it may stop (RFC 9113 8.1).
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
        nghttp2_session_check_server_session(session) != 0 &&
        nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static ssize_t ReadOutput(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length, std::uint32_t* flags,
                            nghttp2_data_source* source, void* user_data) {
    if (Self(user_data).ended_) return NGHTTP2_ERR_CALLBACK_FAILURE;
    auto& stream = *static_cast<Http2Stream*>(source->ptr);
    const std::size_t size = std::min(length, stream.out_.bytes());
    if (size == 0 && !stream.out_ended_) {
      stream.deferred_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream.out_ended_ && size == stream.out_.bytes()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (stream.OnOutputEnd()) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(size);
  }

  static int SendData(nghttp2_session*, nghttp2_frame*, const std::uint8_t* header, std::size_t length,
                      nghttp2_data_source* source, void* user_data) {
    auto& self = Self(user_data);
    if (self.ended_) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (self.output_.bytes() >= kOutputBatchBytes) return NGHTTP2_ERR_WOULDBLOCK;
    auto& stream = *static_cast<Http2Stream*>(source->ptr);
    constexpr std::size_t kFrameHeaderBytes = 9;
    self.output_.Append(header, kFrameHeaderBytes);
    const bool was_full = stream.out_.bytes() > kSendQueueBytes;
    self.output_.MoveFrom(stream.out_, length);
    stream.output_taken_ = true;
    self.framed_bytes_ += kFrameHeaderBytes + length;
    if (was_full && stream.out_.bytes() <= kSendQueueBytes) stream.writable_.Pulse();
    self.OnOutput();
    return 0;
  }

  static nghttp2_session_callbacks* Make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0, "out of memory");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, BeforeFrameSend);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, OnFrameSent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, SendData);
    return callbacks;
  }
};

bool Http2Stream::MayHaveBeenSent() const {
  return session_ != nullptr ? headers_offset_ < session_->written_bytes_ : was_sent_;
}

void Http2Stream::OutputChanged() {
  if (session_ == nullptr) return;
  if (std::exchange(deferred_, false)) nghttp2_session_resume_data(session_->session_, id_);
  session_->Touch();
}

void Http2Stream::GiveCredit(std::size_t bytes) {
  if (session_ != nullptr) session_->CreditStream(*this, bytes);
}

Http2Session::Http2Session(Reactor& reactor, std::unique_ptr<ByteStream> stream, Http2Options options)
    : reactor_(reactor),
      stream_(std::move(stream)),
      keepalive_(reactor.clock(), options.keepalive,
                 {.has_streams = [this] { return stream_count_ > 0; },
                  .send_ping = [this] { SubmitPing(); },
                  .give_up = [this] { Close(Error(Code::kUnavailable, "keepalive ping was not answered in time")); }}),
      tasks_(reactor.executor()) {
  nghttp2_option* option = nullptr;
  CHECK(nghttp2_option_new(&option) == 0, "out of memory");
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, 4 * kMaxHeaderListBytes);
  nghttp2_option_set_max_continuations(option, kMaxContinuations);
  nghttp2_option_set_stream_reset_rate_limit(option, kResetBurst, kResetsPerSecond);
  nghttp2_session_callbacks* callbacks = Callbacks::Make();
  const int rc = options.role == Http2Role::kServer ? nghttp2_session_server_new2(&session_, callbacks, this, option)
                                                    : nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
  CHECK(rc == 0, "out of memory");
  SubmitSettings(options);
}

Http2Session::~Http2Session() {
  nghttp2_session_del(session_);
}

void Http2Session::SubmitSettings(const Http2Options& options) {
  const std::uint32_t stream_window =
      options.stream_window_bytes != 0 ? options.stream_window_bytes : kStreamWindowBytes;
  const std::uint32_t connection_window =
      options.connection_window_bytes != 0 ? options.connection_window_bytes : kConnectionWindowBytes;
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaderListBytes},
  };
  if (options.role == Http2Role::kClient) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams});
  }
  int rc = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  CHECK(rc == 0, nghttp2_strerror(rc));
  rc = nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, static_cast<int>(connection_window));
  CHECK(rc == 0, nghttp2_strerror(rc));
}

Awaitable<void> Http2Session::RunSession() {
  tasks_.Spawn("writer", WriteWhenPossible());
  keepalive_.Start();
  Touch();
  co_await ReadUntilEnd();
  Close(Error(Code::kUnavailable, "connection closed"));
  co_await tasks_.Join();
}

Awaitable<void> Http2Session::ReadUntilEnd() {
  while (!ended_) {
    auto readable = co_await stream_->WaitReadable();
    if (!readable) co_return Close(std::move(readable.error()));
    if (ended_ || !ReadSome()) co_return;
    OnBatchEnd();
  }
}

bool Http2Session::ReadSome() {
  keepalive_.OnBytesReceived();
  const std::span<std::byte> buffer = ReadBuffer();
  for (int i = 0; i < kReadsPerWake && !ended_; ++i) {
    auto outcome = stream_->TryRead(buffer);
    if (!outcome) {
      Close(std::move(outcome.error()));
      return false;
    }
    if (outcome->status == IoStatus::kWouldBlock) break;
    if (outcome->status == IoStatus::kEof) {
      Close(Error(Code::kUnavailable, "connection closed by peer"));
      return false;
    }
    if (gentle_) continue;
    const ssize_t taken =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(buffer.data()), outcome->bytes);
    if (taken < 0) {
      Close(Http2Error("HTTP/2 protocol error", static_cast<int>(taken)));
      return false;
    }
    CreditConnection();
    Touch();
    if (outcome->bytes < buffer.size()) break;
  }
  return true;
}

void Http2Session::Flush() {
  if (ended_ || blocked_ || gentle_) return;
  while (FillOutput()) {
    if (!WriteOutput()) return;
  }
  if (ended_) return;
  const bool done = nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
  if (done || terminating_) CloseGently();
}

// False if there is nothing to write.
bool Http2Session::FillOutput() {
  while (!ended_ && output_.bytes() < kOutputBatchBytes) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) {
      Close(Http2Error("HTTP/2 session failed", static_cast<int>(size)));
      return false;
    }
    if (size == 0) break;
    output_.Append(bytes, static_cast<std::size_t>(size));
    framed_bytes_ += static_cast<std::size_t>(size);
  }
  return !ended_ && !output_.empty();
}

// False if the system doesn't take all of it now.
bool Http2Session::WriteOutput() {
  while (!output_.empty()) {
    std::array<iovec, kMaxIovecs> vectors;
    const std::size_t count = std::min(output_.count(), vectors.size());
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<std::uint8_t*>(output_[i].data()), output_[i].size()};
    }
    auto outcome = stream_->TryWrite({vectors.data(), count});
    if (!outcome) {
      Close(std::move(outcome.error()));
      return false;
    }
    written_bytes_ += outcome->bytes;
    output_.DropFront(outcome->bytes);
    if (outcome->status == IoStatus::kWouldBlock) {
      blocked_ = true;
      write_wanted_.Set();
      return false;
    }
  }
  return true;
}

Awaitable<void> Http2Session::WriteWhenPossible() {
  while (!ended_) {
    co_await write_wanted_.Wait();
    if (ended_) co_return;
    write_wanted_.Reset();
    auto writable = co_await stream_->WaitWritable();
    if (!writable) co_return Close(std::move(writable.error()));
    blocked_ = false;
    if (!output_.empty() && !WriteOutput()) continue;
    Flush();
  }
}

// The peer gets what was sent before (closing with unread input would reset the connection and could lose it).
void Http2Session::CloseGently() {
  gentle_ = true;
  stream_->ShutdownWrite();
  linger_ = reactor_.clock().Schedule(kLinger, [this] { Close(Error(Code::kUnavailable, "connection closed")); });
}

void Http2Session::Close(Error why) {
  if (ended_) return;
  ended_ = true;
  end_reason_ = why;
  linger_.Cancel();
  keepalive_.Stop();
  stream_->Close();
  write_wanted_.Set();
  while (!streams_.empty()) {
    Http2Stream& stream = streams_.front();
    Forget(stream);
    stream.OnConnectionLost(why);
  }
  OnStreamGone();
}

void Http2Session::SubmitGoaway(bool notice, std::uint32_t http2_error, std::string_view debug) {
  if (ended_) return;
  if (notice) {
    nghttp2_submit_shutdown_notice(session_);
  } else {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), http2_error,
                          Bytes(debug), debug.size());
  }
  Touch();
}

void Http2Session::Terminate(std::uint32_t http2_error, std::string_view debug) {
  SubmitGoaway(false, http2_error, debug);
  terminating_ = true;
}

void Http2Session::SubmitPing() {
  if (ended_) return;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  Touch();
}

Result<> Http2Session::SubmitRequest(Http2Stream& stream, std::span<const HeaderField> headers) {
  if (ended_) return std::unexpected(Error(*end_reason_).WithExecution(Execution::kDidNotExecute));
  const auto values = NameValues(headers);
  nghttp2_data_provider provider{.source = {.ptr = &stream}, .read_callback = Callbacks::ReadOutput};
  const std::int32_t id = nghttp2_submit_request(session_, nullptr, values.data(), values.size(), &provider, &stream);
  if (id < 0) return std::unexpected(Http2Error("cannot start a stream", id).WithExecution(Execution::kDidNotExecute));
  stream.session_ = this;
  stream.id_ = id;
  stream.headers_offset_ = ~std::uint64_t{0};
  stream.deferred_ = false;
  streams_.push_back(stream);
  ++stream_count_;
  Touch();
  return {};
}

void Http2Session::SubmitResponse(Http2Stream& stream, std::span<const HeaderField> headers, bool end_of_stream) {
  const auto values = NameValues(headers);
  nghttp2_data_provider provider{.source = {.ptr = &stream}, .read_callback = Callbacks::ReadOutput};
  nghttp2_submit_response(session_, stream.id_, values.data(), values.size(), end_of_stream ? nullptr : &provider);
  Touch();
}

void Http2Session::SubmitTrailers(Http2Stream& stream, std::span<const HeaderField> headers) {
  const auto values = NameValues(headers);
  nghttp2_submit_trailer(session_, stream.id_, values.data(), values.size());
  Touch();
}

void Http2Session::SubmitReset(Http2Stream& stream, std::uint32_t http2_error) {
  if (std::exchange(stream.reset_, true)) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, http2_error);
  Touch();
}

std::size_t Http2Session::PeerMaxHeaderListBytes() const {
  const std::uint32_t peer = nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
  return std::min<std::size_t>(peer, kMaxHeaderListBytes);
}

void Http2Session::Forget(Http2Stream& stream) {
  streams_.erase(streams_.iterator_to(stream));
  --stream_count_;
  stream.was_sent_ = stream.MayHaveBeenSent();
  stream.session_ = nullptr;
  // What it had received and nobody will read.
  unread_bytes_ -= stream.in_.uncredited_bytes();
  if (!ended_) CreditConnection();
}

void Http2Session::Received(Http2Stream* stream, std::span<const std::uint8_t> bytes) {
  uncredited_connection_bytes_ += bytes.size();
  if (stream == nullptr) return;
  unread_bytes_ += bytes.size();
  stream->in_.Append(bytes);
}

void Http2Session::CreditStream(Http2Stream& stream, std::size_t bytes) {
  unread_bytes_ -= bytes;
  nghttp2_session_consume_stream(session_, stream.id_, bytes);
  CreditConnection();
  Touch();
}

void Http2Session::CreditConnection() {
  const std::size_t held = unread_bytes_ > kConnectionBufferBytes ? unread_bytes_ - kConnectionBufferBytes : 0;
  if (uncredited_connection_bytes_ <= held) return;
  nghttp2_session_consume_connection(session_, uncredited_connection_bytes_ - held);
  uncredited_connection_bytes_ = held;
}

}  // namespace multigres::rpc
