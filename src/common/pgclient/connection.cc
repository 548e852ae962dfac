#include "common/pgclient/connection.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <utility>

#include "common/pgwire/diagnostic.h"
#include "tools/result/check.h"

namespace multigres::pgclient {

namespace {

Error Cancelled(CancelReason reason) {
  if (reason == CancelReason::kDeadline) return Error(Code::kDeadlineExceeded, "deadline exceeded");
  return Error(Code::kCanceled, reason == CancelReason::kShutdown ? "shutting down" : "cancelled");
}

}  // namespace

Connection::Connection(Reactor& reactor, std::unique_ptr<ByteStream> stream, ConnectOptions options)
    : reactor_(reactor), stream_(std::move(stream)), options_(std::move(options)) {
  read_size_ = kReadSize;
}

Connection::~Connection() {
  CHECK(!reading_, "destroyed while somebody reads");
  stream_->Close();
}

bool Connection::in_sync() const {
  return !broken() && !fatal_ && pipeline_.empty() && out_.empty() && row_remaining_ == 0;
}

void Connection::Interrupt() {
  ++interrupts_;
  WakeWaits();
}

void Connection::WakeWaits() {
  ++wakes_;
  stream_->CancelWaits();
}

Result<> Connection::CheckBounds(const Bounds& bounds) const {
  if (bounds.cancel != nullptr && bounds.cancel->IsCancelled()) {
    return std::unexpected(Cancelled(bounds.cancel->reason()));
  }
  if (!bounds.deadline.IsNever() && bounds.deadline.Passed(reactor_.clock().Now())) {
    return std::unexpected(Cancelled(CancelReason::kDeadline));
  }
  return {};
}

// Returns when the stream may have something to say; the error is that of the bounds, or of a stream that can't wait.
Awaitable<Result<>> Connection::WaitIo(Want want, Bounds bounds) {
  auto within = CheckBounds(bounds);
  if (!within) co_return within;
  const auto interrupts = interrupts_;
  const auto wakes = wakes_;
  Timer timer;
  CancelToken::Subscription subscription;
  if (!bounds.deadline.IsNever()) {
    timer = reactor_.clock().ScheduleAt(bounds.deadline.at(), [this] { WakeWaits(); });
  }
  if (bounds.cancel != nullptr) {
    subscription = bounds.cancel->OnCancel([this](CancelReason) { WakeWaits(); });
  }
  Result<> waited;
  if (want == Want::kReadable) {
    waited = co_await stream_->WaitReadable();
  } else if (want == Want::kWritable) {
    waited = co_await stream_->WaitWritable();
  } else {
    using asio::experimental::awaitable_operators::operator||;
    auto first = co_await (stream_->WaitReadable() || stream_->WaitWritable());
    waited = first.index() == 0 ? std::get<0>(first) : std::get<1>(first);
  }
  within = CheckBounds(bounds);
  if (!within) co_return within;
  if (interrupts != interrupts_) co_return std::unexpected(Cancelled(CancelReason::kCancelled));
  if (!waited && wakes == wakes_ && !broken()) Break(std::move(waited.error()));
  if (broken()) co_return std::unexpected(Failure());
  co_return Result<>{};
}

void Connection::Break(Error error) {
  if (failure_) return;
  failure_ = fatal_ ? *fatal_ : std::move(error);
  out_.Clear();
  stream_->Close();
}

Error Connection::Failure() const {
  const bool may_have = written_total_ > request_start_;
  return Error(*failure_).WithExecution(may_have ? Execution::kMayHaveExecuted : Execution::kDidNotExecute);
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  if (!failure_) {
    pgwire::WriteTerminate(out_);
    FlushNow();
    failure_ = Error(Code::kUnavailable, "connection closed");
  }
  out_.Release();
  ++wakes_;
  stream_->Close();
}

Result<> Connection::CheckIdle() {
  DropConsumed();
  // What there is may be followed by the end, which only a read that finds nothing more rules out.
  bool found_nothing = false;
  while (!failure_) {
    auto frame = pgwire::PeekFrame(in_.view(), options_.max_message_bytes);
    if (!frame) {
      Break(std::move(frame.error()));
    } else if (*frame) {
      consumed_ = (*frame)->size();
      auto tracked = Track(**frame);
      if (tracked && !Dispatch(**frame) && (*frame)->type != pgwire::kErrorResponse) {
        Break(Error(Code::kInternal, "08P01", "message from the server on an idle connection"));
      }
      DropConsumed();
    } else if (eof_) {
      Break(Error(Code::kUnavailable, "server closed the connection unexpectedly"));
    } else if (found_nothing) {
      break;
    } else {
      auto read = ReadOnce();
      found_nothing = read && *read == 0;
      if (!read) Break(std::move(read.error()));
    }
  }
  if (fatal_) Break(*fatal_);
  if (failure_) return std::unexpected(Error(*failure_).WithExecution(Execution::kDidNotExecute));
  return {};
}

bool Connection::Dispatch(const pgwire::Frame& message) {
  switch (message.type) {
    case pgwire::kNoticeResponse: {
      auto notice = pgwire::ReadDiagnostic(message.type, message.body);
      if (notice && handlers_.on_notice) handlers_.on_notice(std::move(*notice));
      return true;
    }
    case pgwire::kNotificationResponse: {
      auto notification = pgwire::ReadNotificationResponse(message.body);
      if (notification && handlers_.on_notification) handlers_.on_notification(*notification);
      return true;
    }
    case pgwire::kParameterStatus: {
      auto parameter = pgwire::ReadParameterStatus(message.body);
      if (parameter && handlers_.on_parameter) handlers_.on_parameter(parameter->name, parameter->value);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace multigres::pgclient
