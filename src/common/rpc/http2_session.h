// One HTTP/2 connection (RFC 9113) over a ByteStream: nghttp2 does the frames, this class the I/O around it.
#pragma once

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/rpc/http2_stream.h"
#include "common/rpc/keepalive.h"
#include "common/rpc/slice_queue.h"
#include "tools/async/event.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/net/byte_stream.h"
#include "tools/result/error.h"

struct nghttp2_session;

namespace multigres::rpc {

enum class Http2Role : std::uint8_t { kServer, kClient };

struct Http2Options {
  Http2Role role = Http2Role::kClient;
  std::uint32_t stream_window_bytes = 0;      // 0 = kStreamWindowBytes
  std::uint32_t connection_window_bytes = 0;  // 0 = kConnectionWindowBytes
  KeepaliveOptions keepalive;
};

// Lives on one reactor. Everything that is produced during a turn leaves at its end in one system call (as long as the
// peer takes it). Derived classes are the two sides of gRPC.
class Http2Session : private TurnEndHook {
 public:
  Http2Session(Reactor& reactor, std::unique_ptr<ByteStream> stream, Http2Options options);
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;
  virtual ~Http2Session();

  // Until the connection has ended and its streams have been told.
  Awaitable<void> RunSession();
  // Ends it now.
  void Close(Error why);
  // GOAWAY, after which open streams may finish and the connection closes by itself. `notice` only announces it, so
  // that requests that are under way still count.
  void SubmitGoaway(bool notice, std::uint32_t http2_error, std::string_view debug);
  // GOAWAY, and the end as soon as it has been written.
  void Terminate(std::uint32_t http2_error, std::string_view debug);
  void SubmitPing();

  // For streams. The first two give the stream its id; they may fail only when ids have run out (UNAVAILABLE).
  Result<> SubmitRequest(Http2Stream& stream, std::span<const HeaderField> headers);
  void SubmitResponse(Http2Stream& stream, std::span<const HeaderField> headers, bool end_of_stream);
  void SubmitTrailers(Http2Stream& stream, std::span<const HeaderField> headers);
  void SubmitReset(Http2Stream& stream, std::uint32_t http2_error);

  bool IsOpen() const { return !ended_; }
  // Why it isn't open any more.
  const std::optional<Error>& end_reason() const { return end_reason_; }
  std::size_t stream_count() const { return stream_count_; }
  // What the peer accepts in one header list.
  std::size_t PeerMaxHeaderListBytes() const;
  Reactor& reactor() { return reactor_; }
  ByteStream& stream() { return *stream_; }

 protected:
  // Server: a request begins; the stream that shall take it.
  virtual Http2Stream* OnRequest() = 0;
  virtual void OnSettings() {}
  virtual void OnPing() {}
  virtual void OnPingAck() {}
  virtual void OnGoaway(std::uint32_t http2_error, std::string_view debug) {}
  virtual void OnStreamGone() {}
  // After the frames of one read: here coroutines may run.
  virtual void OnBatchEnd() {}
  // We have sent headers or data.
  virtual void OnOutput() {}

  // `visit` may end the visited stream's call, not others.
  template <class Visit>
  void ForEachStream(Visit visit) {
    for (auto it = streams_.begin(); it != streams_.end();) visit(*it++);
  }

 private:
  friend class Http2Stream;
  struct Callbacks;

  void Touch() { reactor_.AtTurnEnd(*this); }
  void OnTurnEnd() override { Flush(); }
  void SubmitSettings(const Http2Options& options);
  Awaitable<void> ReadUntilEnd();
  Awaitable<void> WriteWhenPossible();
  bool ReadSome();
  void Flush();
  bool FillOutput();
  bool WriteOutput();
  void CloseGently();
  void Forget(Http2Stream& stream);
  void Received(Http2Stream* stream, std::span<const std::uint8_t> bytes);
  void CreditStream(Http2Stream& stream, std::size_t bytes);
  void CreditConnection();

  Reactor& reactor_;
  std::unique_ptr<ByteStream> stream_;
  nghttp2_session* session_ = nullptr;
  boost::intrusive::list<Http2Stream, boost::intrusive::constant_time_size<false>> streams_;
  std::size_t stream_count_ = 0;

  SliceQueue output_;
  std::uint64_t framed_bytes_ = 0;   // ever put into output_
  std::uint64_t written_bytes_ = 0;  // ever taken by the system
  bool blocked_ = false;             // the writer task waits for the socket
  Event write_wanted_;

  std::size_t unread_bytes_ = 0;  // received, in streams' hands
  std::size_t uncredited_connection_bytes_ = 0;
  bool terminating_ = false;  // what is queued is the last
  bool gentle_ = false;       // all is said: waiting for the peer's end
  Timer linger_;
  bool ended_ = false;
  std::optional<Error> end_reason_;
  Keepalive keepalive_;
  TaskGroup tasks_;
};

}  // namespace multigres::rpc
