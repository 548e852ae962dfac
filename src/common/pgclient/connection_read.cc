// Connection: what comes in.
#include <algorithm>

#include "common/pgclient/connection.h"
#include "common/pgclient/query.h"
#include "common/pgwire/diagnostic.h"
#include "tools/result/check.h"

namespace multigres::pgclient {

namespace {

class Raised {
 public:
  explicit Raised(bool& flag) : flag_(flag) { flag_ = true; }
  ~Raised() { flag_ = false; }

 private:
  bool& flag_;
};

}  // namespace

void Connection::DropConsumed() {
  in_.Consume(std::exchange(consumed_, 0));
  if (in_.empty() && pipeline_.empty() && in_.capacity() > kKeptBuffer) {
    in_.Release();
    read_size_ = kReadSize;
  }
}

// Takes what the socket has, as far as one read goes: so many bytes. drained_ and eof_ tell the rest.
Result<std::size_t> Connection::ReadOnce() {
  const std::span<char> room = in_.Prepare(read_size_);
  auto outcome = stream_->TryRead(std::as_writable_bytes(room));
  if (!outcome) return std::unexpected(std::move(outcome.error()));
  in_.Commit(outcome->bytes);
  eof_ = outcome->status == IoStatus::kEof;
  drained_ = outcome->bytes < room.size();
  if (!drained_) read_size_ = std::min(read_size_ * 2, kMaxReadSize);
  return outcome->bytes;
}

// Returns once `bytes` are buffered.
Awaitable<Result<>> Connection::FillTo(std::size_t bytes, Bounds bounds) {
  CHECK(!reading_, "two readers on one connection");
  while (in_.size() < bytes) {
    if (failure_) co_return std::unexpected(Failure());
    if (eof_) {
      Break(Error(Code::kUnavailable, "server closed the connection unexpectedly"));
      continue;
    }
    if (drained_) {
      FlushNow();
      Raised reading(reading_);
      const Want want = out_.empty() ? Want::kReadable : Want::kReadableOrWritable;
      auto waited = co_await WaitIo(want, bounds);
      if (!waited) co_return waited;
    }
    auto read = ReadOnce();
    if (!read) {
      Break(write_error_ ? *write_error_ : std::move(read.error()));
    } else if (write_error_ && drained_ && !eof_ && in_.size() < bytes) {
      Break(*write_error_);
    }
  }
  co_return Result<>{};
}

bool Connection::has_buffered() const {
  const std::string_view bytes = in_.view().substr(consumed_);
  if (row_remaining_ > 0) return bytes.size() >= row_remaining_;
  auto frame = pgwire::PeekFrame(bytes, options_.max_message_bytes);
  return !frame || frame->has_value() || failure_.has_value();
}

Result<std::optional<pgwire::Frame>> Connection::TryNext() {
  CHECK(row_remaining_ == 0, "a row is being read in slices");
  DropConsumed();
  if (closed_) return std::unexpected(Failure());
  auto frame = pgwire::PeekFrame(in_.view(), options_.max_message_bytes);
  if (!frame) {
    Break(std::move(frame.error()));
    return std::unexpected(Failure());
  }
  if (!*frame) return std::nullopt;
  consumed_ = (*frame)->size();
  auto tracked = Track(**frame);
  if (!tracked) return std::unexpected(std::move(tracked.error()));
  return frame;
}

// How many bytes the message at the front has: its header's if that isn't whole.
std::size_t Connection::BytesWanted(std::string_view bytes) {
  auto header = pgwire::PeekHeader(bytes);
  return header && *header ? (*header)->frame_size() : pgwire::kFrameHeaderSize;
}

Awaitable<Result<pgwire::Frame>> Connection::Next(Bounds bounds) {
  while (true) {
    auto frame = TryNext();
    if (!frame) co_return std::unexpected(std::move(frame.error()));
    if (*frame) co_return **frame;
    auto filled = co_await FillTo(BytesWanted(in_.view()), bounds);
    if (!filled) co_return std::unexpected(std::move(filled.error()));
  }
}

Awaitable<Result<pgwire::Frame>> Connection::NextReply(Bounds bounds) {
  while (true) {
    auto message = co_await Next(bounds);
    if (!message || !Dispatch(*message)) co_return message;
  }
}

Result<std::optional<Block>> Connection::TryNextBlock(std::size_t max_bytes) {
  DropConsumed();
  if (row_remaining_ == 0 && (in_.empty() || in_.view()[0] != pgwire::kDataRow)) {
    auto message = TryNext();
    if (!message) return std::unexpected(std::move(message.error()));
    if (!*message) return std::nullopt;
    return Block{(*message)->type, (*message)->body, 0, false};
  }
  if (closed_) return std::unexpected(Failure());
  if (row_remaining_ == 0) {
    auto header = pgwire::PeekHeader(in_.view());
    if (!header) {
      Break(std::move(header.error()));
      return std::unexpected(Failure());
    }
    if (!*header) return std::nullopt;
    if ((*header)->frame_size() <= max_bytes) {
      const auto run = pgwire::MeasureRun(in_.view(), pgwire::kDataRow, max_bytes);
      if (run.frames == 0) return std::nullopt;
      consumed_ = run.bytes;
      return Block{pgwire::kDataRow, in_.view().substr(0, run.bytes), run.frames, false};
    }
    row_remaining_ = (*header)->frame_size();
  }
  const std::size_t size = std::min(row_remaining_, max_bytes);
  if (in_.size() < size) return std::nullopt;
  row_remaining_ -= size;
  consumed_ = size;
  const bool ended = row_remaining_ == 0;
  return Block{pgwire::kDataRow, in_.view().substr(0, size), ended ? 1u : 0u, !ended};
}

std::size_t Connection::BlockBytesWanted(std::size_t max_bytes) const {
  return row_remaining_ > 0 ? std::min(row_remaining_, max_bytes) : BytesWanted(in_.view());
}

Awaitable<Result<Block>> Connection::NextBlock(Bounds bounds, std::size_t max_bytes) {
  while (true) {
    auto block = TryNextBlock(max_bytes);
    if (!block) co_return std::unexpected(std::move(block.error()));
    if (*block) co_return **block;
    auto filled = co_await FillTo(BlockBytesWanted(max_bytes), bounds);
    if (!filled) co_return std::unexpected(std::move(filled.error()));
  }
}

Awaitable<Result<std::string_view>> Connection::NextRaw(Bounds bounds, std::size_t max_bytes) {
  DropConsumed();
  if (in_.empty() && !(eof_ && !failure_)) {
    auto filled = co_await FillTo(1, bounds);
    // The end is an answer here, not a failure.
    if (!filled && !(eof_ && !fatal_ && !closed_)) co_return std::unexpected(std::move(filled.error()));
  }
  consumed_ = std::min(in_.size(), max_bytes);
  co_return in_.view().substr(0, consumed_);
}

// Keeps the session's state. A message that makes no sense breaks the connection.
Result<> Connection::Track(const pgwire::Frame& message) {
  Result<> good;
  switch (message.type) {
    case pgwire::kCopyInResponse:
      awaits_copy_data_ = true;
      break;
    case pgwire::kReadyForQuery: {
      awaits_copy_data_ = false;
      auto status = pgwire::ReadReadyForQuery(message.body);
      if (status) {
        transaction_status_ = *status;
      } else {
        good = std::unexpected(std::move(status.error()));
      }
      break;
    }
    case pgwire::kParameterStatus: {
      auto parameter = pgwire::ReadParameterStatus(message.body);
      if (parameter) {
        parameters_.insert_or_assign(std::string(parameter->name), std::string(parameter->value));
        ++parameter_changes_;
      } else {
        good = std::unexpected(std::move(parameter.error()));
      }
      break;
    }
    case pgwire::kErrorResponse:
      good = TrackError(message);
      break;
    default:
      break;
  }
  if (!good) {
    Break(std::move(good.error()));
    return std::unexpected(Failure());
  }
  pipeline_.Received(message.type);
  return {};
}

Result<> Connection::TrackError(const pgwire::Frame& message) {
  awaits_copy_data_ = false;
  auto diagnostic = pgwire::ReadDiagnostic(message.type, message.body);
  if (!diagnostic) return std::unexpected(std::move(diagnostic.error()));
  if (pgwire::EndsSession(*diagnostic)) fatal_ = Error::FromDiagnostic(std::move(*diagnostic));
  return {};
}

}  // namespace multigres::pgclient
