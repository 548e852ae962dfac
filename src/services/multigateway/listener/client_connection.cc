#include "services/multigateway/listener/client_connection.h"

#include <poll.h>

#include <chrono>

namespace multigres::gateway::listener {

namespace {

constexpr std::size_t kReadSize = 8 * 1024;
// From here on a read takes bigger bites: a COPY or a long statement is on its way.
constexpr std::size_t kBulkReadSize = 128 * 1024;

}  // namespace

ClientConnection::ClientConnection(Reactor& reactor, std::unique_ptr<ByteStream> stream)
    : reactor_(reactor), stream_(std::move(stream)), peer_(stream_->PeerName()), tasks_(reactor.executor()) {}

ClientConnection::~ClientConnection() = default;

Awaitable<Result<bool>> ClientConnection::Fill() {
  while (true) {
    const std::size_t size = in_.size() >= kReadSize ? kBulkReadSize : kReadSize;
    const auto room = in_.Prepare(size);
    auto outcome = stream_->TryRead(std::as_writable_bytes(room));
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    if (outcome->status == IoStatus::kEof) co_return false;
    if (outcome->status == IoStatus::kDone) {
      in_.Commit(outcome->bytes);
      co_return true;
    }
    if (in_.empty()) in_.Release();
    Timer timer;
    if (!read_deadline_.IsNever()) {
      if (read_deadline_.Passed(reactor_.clock().Now())) {
        timed_out_ = true;
        co_return false;
      }
      timer = reactor_.clock().ScheduleAt(read_deadline_.at(), [this] {
        timed_out_ = true;
        stream_->CancelWaits();
      });
    }
    interrupted_ = false;
    auto readable = co_await stream_->WaitReadable();
    if (timed_out_ || interrupted_) co_return false;
    if (!readable) co_return std::unexpected(std::move(readable.error()));
  }
}

void ClientConnection::Consume() {
  in_.Consume(std::exchange(consumed_, 0));
}

Awaitable<Result<std::optional<pgwire::Frame>>> ClientConnection::ReadFrame() {
  Consume();
  while (true) {
    auto header = pgwire::PeekHeader(in_.view());
    // With an impossible length there is no next message: as good as gone.
    if (!header) co_return std::nullopt;
    if (*header) {
      const auto most = pgwire::MaxFrontendBody((*header)->type);
      if (!most) {
        co_return Fail(Code::kInvalidArgument, "08P01",
                       fmt::format("invalid frontend message type {}", static_cast<unsigned char>((*header)->type)));
      }
      if ((*header)->body_size > *most) co_return std::nullopt;
      if (in_.size() >= (*header)->frame_size()) {
        consumed_ = (*header)->frame_size();
        co_return pgwire::Frame{(*header)->type, in_.view().substr(pgwire::kFrameHeaderSize, (*header)->body_size)};
      }
    }
    auto more = co_await Fill();
    if (!more) co_return std::unexpected(std::move(more.error()));
    if (!*more) co_return std::nullopt;
  }
}

Awaitable<Result<char>> ClientConnection::PeekNextType() {
  Consume();
  while (in_.empty()) {
    auto more = co_await Fill();
    if (!more) co_return std::unexpected(std::move(more.error()));
    if (!*more) co_return '\0';
  }
  co_return in_.view().front();
}

void ClientConnection::InterruptRead() {
  interrupted_ = true;
  stream_->CancelWaits();
}

Awaitable<Result<std::optional<std::string_view>>> ClientConnection::ReadStartupPacket() {
  Consume();
  while (true) {
    auto packet = pgwire::PeekStartupPacket(in_.view());
    if (!packet) co_return std::unexpected(std::move(packet.error()));
    if (*packet) {
      consumed_ = sizeof(std::uint32_t) + (*packet)->size();
      co_return **packet;
    }
    auto more = co_await Fill();
    if (!more) co_return std::unexpected(std::move(more.error()));
    if (!*more) co_return std::nullopt;
  }
}

Awaitable<Result<std::optional<char>>> ClientConnection::PeekByte() {
  Consume();
  while (in_.empty()) {
    auto more = co_await Fill();
    if (!more) co_return std::unexpected(std::move(more.error()));
    if (!*more) co_return std::nullopt;
  }
  co_return in_.view().front();
}

void ClientConnection::Flush() {
  if (!writing_ && !out_.empty()) reactor_.AtTurnEnd(*this);
}

void ClientConnection::OnTurnEnd() {
  if (writing_) return;
  WriteSome();
  if (out_.empty()) return;
  writing_ = true;
  tasks_.Spawn("client writer", WriteRest());
}

void ClientConnection::WriteSome() {
  while (!out_.empty() && !broken_) {
    const auto bytes = out_.view();
    const iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
    auto outcome = stream_->TryWrite({&vector, 1});
    if (!outcome) {
      broken_ = true;
      break;
    }
    out_.Consume(outcome->bytes);
    if (outcome->status == IoStatus::kWouldBlock) return;
  }
  out_.Release();
}

Awaitable<void> ClientConnection::WriteRest() {
  struct Done {
    ClientConnection& self;
    ~Done() {
      self.writing_ = false;
      self.written_.Pulse();
    }
  } done{*this};
  while (!out_.empty()) {
    auto writable = co_await stream_->WaitWritable();
    if (!writable) {
      broken_ = true;
      out_.Release();
      co_return;
    }
    WriteSome();
    written_.Pulse();
  }
}

bool ClientConnection::PeerHasLeft() const {
  if (broken_ || stream_ == nullptr) return true;
  pollfd polled{.fd = stream_->fd(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&polled, 1, 0) > 0 && (polled.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

Awaitable<Result<>> ClientConnection::Drain(std::size_t limit) {
  if (!writing_ && out_.size() > limit) OnTurnEnd();
  while (!broken_ && out_.size() > limit) co_await written_.Wait();
  if (broken_) co_return Fail(Code::kUnavailable, "08006", "connection to client lost");
  co_return Result<>{};
}

std::unique_ptr<ByteStream> ClientConnection::TakeStream(std::string& unread) {
  Consume();
  unread = in_.view();
  in_.Release();
  return std::move(stream_);
}

void ClientConnection::SetStream(std::unique_ptr<ByteStream> stream) {
  stream_ = std::move(stream);
}

Awaitable<void> ClientConnection::Close() {
  if (stream_ != nullptr) {
    Timer timer = reactor_.clock().Schedule(std::chrono::seconds(1), [this] { Abort(); });
    co_await Drain(0);
    Abort();
  }
  co_await tasks_.CancelAndJoin();
}

void ClientConnection::Abort() {
  broken_ = true;
  if (stream_ != nullptr) stream_->Close();
  written_.Pulse();
}

}  // namespace multigres::gateway::listener
