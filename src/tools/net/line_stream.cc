#include "tools/net/line_stream.h"

#include <array>

namespace multigres {

Awaitable<Result<std::optional<std::string>>> LineStream::ReadLine() {
  std::size_t searched = 0;
  for (;;) {
    const auto end = buffer_.find('\n', searched);
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      if (line.ends_with('\r')) line.pop_back();
      co_return line;
    }
    if (ended_) co_return std::nullopt;
    searched = buffer_.size();
    if (searched > max_line_bytes_) co_return Fail(Code::kResourceExhausted, "line too long");
    std::array<std::byte, 4096> bytes;
    auto read = stream_->TryRead(bytes);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (read->status == IoStatus::kEof) {
      ended_ = true;
    } else if (read->status == IoStatus::kDone) {
      buffer_.append(reinterpret_cast<const char*>(bytes.data()), read->bytes);
    } else {
      auto readable = co_await stream_->WaitReadable();
      if (!readable) co_return std::unexpected(std::move(readable.error()));
    }
  }
}

Awaitable<Result<>> LineStream::WriteLine(std::string_view line) {
  std::string text(line);
  text.push_back('\n');
  co_return co_await WriteAll(*stream_, std::as_bytes(std::span(text)));
}

}  // namespace multigres
