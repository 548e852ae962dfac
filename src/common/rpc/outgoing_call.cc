#include "common/rpc/outgoing_call.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <charconv>

#include "common/rpc/limits.h"
#include "common/rpc/message_frame.h"
#include "common/rpc/metadata_codec.h"
#include "common/rpc/timeout_codec.h"

namespace multigres::rpc {

namespace {

constexpr int kMaxStarts = 5;
constexpr std::string_view kUserAgent = "grpc-c++-multigres/1.0";

Error ErrorOf(CancelReason reason) {
  if (reason == CancelReason::kDeadline) return Error(Code::kDeadlineExceeded, "deadline exceeded");
  return Error(Code::kCanceled, "call cancelled");
}

}  // namespace

OutgoingCall::OutgoingCall(Clock& clock, Starter& starter, std::string_view path, CallOptions options)
    : clock_(clock),
      starter_(starter),
      path_(path),
      deadline_(options.deadline),
      request_metadata_(std::move(options.metadata)),
      wait_for_ready_(options.wait_for_ready) {
  if (!deadline_.IsNever()) {
    if (deadline_.Passed(clock_.Now())) {
      Cancel(CancelReason::kDeadline);
      return;
    }
    deadline_timer_ = clock_.ScheduleAt(deadline_.at(), [this] { Cancel(CancelReason::kDeadline); });
  }
  if (options.cancel != nullptr) {
    cancel_ = options.cancel->OnCancel([this](CancelReason reason) { Cancel(reason); });
  }
}

void OutgoingCall::Start(Http2Session& session, std::string_view scheme, std::string_view authority) {
  if (IsDone()) return;
  HeaderList headers;
  headers.Add(":method", "POST");
  headers.Add(":scheme", scheme);
  headers.Add(":path", path_);
  headers.Add(":authority", authority);
  headers.Add("te", "trailers");
  headers.Add("content-type", "application/grpc");
  headers.Add("user-agent", kUserAgent);
  if (!deadline_.IsNever()) headers.AddMade("grpc-timeout", EncodeTimeout(deadline_.Remaining(clock_.Now())));
  headers.Add(request_metadata_);
  auto checked = headers.Check(session.PeerMaxHeaderListBytes());
  if (!checked) return Fail(std::move(checked.error()));
  auto submitted = session.SubmitRequest(*this, headers.fields());
  if (!submitted) return Fail(std::move(submitted.error()));
  ++starts_;
  intrusive_ptr_add_ref(this);  // the session's, until OnClosed() or OnConnectionLost()
}

void OutgoingCall::Fail(Error error) {
  if (!MayHaveBeenSent()) error = std::move(error).WithExecution(Execution::kDidNotExecute);
  End(std::unexpected(std::move(error)));
}

Awaitable<Result<>> OutgoingCall::Write(const MessageLite& message) {
  while (!IsDone() && !out_ended_ && out_.bytes() > kSendQueueBytes) co_await writable_.Wait();
  if (IsDone()) co_return std::unexpected(in_.EndError().value_or(Error(Code::kCanceled, "the call is over")));
  if (out_ended_) co_return multigres::Fail(Code::kFailedPrecondition, "Write() after WritesDone()");
  auto appended = AppendMessage(message, out_);
  if (appended) OutputChanged();
  co_return appended;
}

void OutgoingCall::WritesDone() {
  if (out_ended_) return;
  out_ended_ = true;
  OutputChanged();
}

void OutgoingCall::WriteLast(const MessageLite& message) {
  if (out_ended_ || IsDone()) return;
  auto appended = AppendMessage(message, out_);
  if (!appended) return Abort(std::move(appended.error()));
  WritesDone();
}

Awaitable<Result<bool>> OutgoingCall::Read(MessageLite& message) {
  auto result = co_await in_.Read(message);
  // A message that can't be understood ends the call from this side.
  if (!result) Abort(result.error());
  co_return result;
}

void OutgoingCall::Cancel(CancelReason reason) {
  if (IsDone()) return;
  Abort(ErrorOf(reason));
}

void OutgoingCall::Drop() {
  if (IsDone() && session_ == nullptr) return;  // the usual end: there is nothing left to stop
  cancel_.Reset();
  Abort(Error(Code::kCanceled, "call dropped"));
}

void OutgoingCall::Abort(Error error) {
  if (!MayHaveBeenSent()) error = std::move(error).WithExecution(Execution::kDidNotExecute);
  StopTimers();
  in_.Abort(std::move(error));
  out_ended_ = true;
  writable_.Pulse();
  if (session_ != nullptr) session_->SubmitReset(*this, NGHTTP2_CANCEL);
}

void OutgoingCall::End(Result<> status) {
  StopTimers();
  in_.End(std::move(status));
  writable_.Pulse();
}

void OutgoingCall::StopTimers() {
  deadline_timer_.Cancel();
  cancel_.Reset();
}

void OutgoingCall::OnHeader(std::string_view name, std::string_view value) {
  if (name == ":status") {
    std::from_chars(value.data(), value.data() + value.size(), http_status_);
  } else if (name == "content-type") {
    is_grpc_ = value.starts_with("application/grpc");
  } else if (name == "grpc-encoding") {
    in_.set_encoding(std::string(value));
  } else if (received_.Take(name, value) || name.starts_with(':') || name == "grpc-accept-encoding") {
    return;
  } else {
    AddReceived(response_headers_done_ ? trailing_metadata_ : initial_metadata_, name, value);
  }
}

void OutgoingCall::OnHeadersTooLarge() {
  Abort(Error(Code::kResourceExhausted,
              fmt::format("received metadata larger than max ({} bytes)", kMaxHeaderListBytes)));
}

void OutgoingCall::OnHeadersEnd(bool end_of_stream) {
  if (!end_of_stream) {
    if (http_status_ >= 200) {
      if (!response_headers_done_ && (http_status_ != 200 || !is_grpc_)) Abort(StatusWithoutGrpc().error());
      response_headers_done_ = true;
    }
    return;
  }
  // "Trailers-Only": what came are trailers, not headers.
  if (!response_headers_done_) std::swap(initial_metadata_, trailing_metadata_);
  End(received_.code ? received_.ToResult() : StatusWithoutGrpc());
  // The server is done; whatever we still had to say is not wanted.
  if (!out_ended_ || !out_.empty()) {
    out_ended_ = true;
    session_->SubmitReset(*this, NGHTTP2_NO_ERROR);
  }
}

Result<> OutgoingCall::StatusWithoutGrpc() const {
  if (http_status_ != 200) {
    return multigres::Fail(CodeOfHttpStatus(http_status_), fmt::format("unexpected HTTP status {}", http_status_));
  }
  if (!is_grpc_) return multigres::Fail(Code::kUnknown, "the response's content-type is not application/grpc");
  return multigres::Fail(Code::kInternal, "the server ended the call without a status");
}

void OutgoingCall::OnDataEnd() {
  End(StatusWithoutGrpc());
}

// A connection may turn its back while a call is on its way to it (GOAWAY, loss); nobody needs to know.
bool OutgoingCall::StartAgain() {
  return starts_ < kMaxStarts && CanStartAgain() && starter_.StartAgain(*this);
}

void OutgoingCall::OnClosed(std::uint32_t http2_error) {
  if (!IsDone() && !StartAgain()) {
    Error error = http2_error == NGHTTP2_NO_ERROR ? Error(Code::kInternal, "the server ended the call without a status")
                                                  : ErrorOfHttp2Code(http2_error);
    Fail(std::move(error));
  }
  intrusive_ptr_release(this);
}

void OutgoingCall::OnConnectionLost(const Error& why) {
  if (!IsDone() && !StartAgain()) Fail(why);
  intrusive_ptr_release(this);
}

}  // namespace multigres::rpc
