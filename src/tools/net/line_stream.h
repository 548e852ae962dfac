// Lines of text over a ByteStream: for small control protocols.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/net/byte_stream.h"

namespace multigres {

class LineStream {
 public:
  // A line of more than `max_line_bytes` is RESOURCE_EXHAUSTED.
  explicit LineStream(std::unique_ptr<ByteStream> stream, std::size_t max_line_bytes = 65536)
      : stream_(std::move(stream)), max_line_bytes_(max_line_bytes) {}

  // The next line without its end (LF or CRLF); nothing at the end of the stream, where a last line without one is
  // given out as well.
  Awaitable<Result<std::optional<std::string>>> ReadLine();
  // Writes the line and an LF.
  Awaitable<Result<>> WriteLine(std::string_view line);
  ByteStream& stream() { return *stream_; }

 private:
  std::unique_ptr<ByteStream> stream_;
  std::size_t max_line_bytes_;
  std::string buffer_;
  bool ended_ = false;
};

}  // namespace multigres
