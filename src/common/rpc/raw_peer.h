// For the tests of this folder: the other side of a connection, made by hand from nghttp2, so that it can misbehave.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/async/awaitable.h"
#include "tools/net/byte_stream.h"

namespace multigres::rpc {

class RawPeer {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  struct Stream {
    std::map<std::string, std::string> headers;  // trailers too
    std::string data;
    bool ended = false;   // the peer sent END_STREAM
    bool closed = false;  // both sides
    std::uint32_t error = 0;
  };

  // `max_streams`: what its settings allow the peer; 0 = any number.
  RawPeer(std::unique_ptr<ByteStream> stream, bool is_server, std::uint32_t max_streams = 0);
  ~RawPeer();

  // A client's: sends a request whose whole body is `body`; returns the stream's id.
  std::int32_t Request(const Headers& headers, std::string body);
  static Headers GrpcHeaders(std::string path);
  // A server's.
  void Respond(std::int32_t id, const Headers& headers);  // with END_STREAM
  void Reset(std::int32_t id, std::uint32_t error);
  nghttp2_session* session() { return session_; }

  Awaitable<bool> Flush();
  // Writes and reads until the condition holds; false if the connection ends first.
  template <class Condition>
  Awaitable<bool> RunUntil(Condition condition) {
    while (!condition()) {
      if (!co_await Flush() || !co_await ReadSome()) co_return condition();
    }
    co_return true;
  }
  std::map<std::int32_t, Stream>& streams() { return streams_; }
  ByteStream& stream() { return *stream_; }
  bool goaway() const { return goaway_; }

 private:
  struct Callbacks;
  Awaitable<bool> ReadSome();

  std::unique_ptr<ByteStream> stream_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Stream> streams_;
  std::map<std::int32_t, std::string> bodies_;
  bool goaway_ = false;
};

// The frame around a message.
std::string Framed(std::string_view message, char compressed = 0);

}  // namespace multigres::rpc
