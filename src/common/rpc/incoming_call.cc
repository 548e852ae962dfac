#include "common/rpc/incoming_call.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include "common/rpc/limits.h"
#include "common/rpc/message_frame.h"
#include "common/rpc/server_connection.h"
#include "common/rpc/status_codec.h"
#include "common/rpc/timeout_codec.h"

namespace multigres::rpc {

namespace {

constexpr std::string_view kContentType = "application/grpc";

// application/grpc and application/grpc+proto, with or without parameters; not grpc-web and not +json.
bool IsGrpcContentType(std::string_view value) {
  if (!value.starts_with(kContentType)) return false;
  value.remove_prefix(kContentType.size());
  if (value.starts_with("+proto")) value.remove_prefix(6);
  return value.empty() || value.starts_with(';');
}

bool IsTransportHeader(std::string_view name) {
  return name == "te" || name == "user-agent" || name == "grpc-accept-encoding" || name == "accept-encoding" ||
         name == "grpc-message-type" || name == "content-length";
}

}  // namespace

Reactor& IncomingCall::reactor() {
  return connection_.reactor();
}

const std::string& IncomingCall::peer() const {
  return connection_.peer();
}

std::string_view IncomingCall::peer_subject() const {
  return connection_.peer_subject();
}

void IncomingCall::AddInitialMetadata(std::string key, std::string value) {
  if (!headers_sent_) initial_metadata_.Add(std::move(key), std::move(value));
}

void IncomingCall::AddTrailingMetadata(std::string key, std::string value) {
  if (!finished_) trailing_metadata_.Add(std::move(key), std::move(value));
}

Awaitable<Result<bool>> IncomingCall::Read(MessageLite& message) {
  return in_.Read(message);
}

Awaitable<Result<>> IncomingCall::Write(const MessageLite& message) {
  while (!IsOver() && out_.bytes() > kSendQueueBytes) co_await writable_.Wait();
  if (IsOver()) co_return std::unexpected(OverError());
  auto sent = SendHeaders();
  if (!sent) co_return sent;
  auto appended = AppendMessage(message, out_);
  if (appended) OutputChanged();
  co_return appended;
}

bool IncomingCall::TryWrite(const MessageLite& message) {
  if (IsOver() || out_.bytes() > kSendQueueBytes || !SendHeaders()) return false;
  if (!AppendMessage(message, out_)) return false;
  OutputChanged();
  return true;
}

Error IncomingCall::OverError() const {
  switch (cancel_.reason()) {
    case CancelReason::kDeadline:
      return Error(Code::kDeadlineExceeded, "deadline exceeded");
    case CancelReason::kShutdown:
      return Error(Code::kUnavailable, "server is shutting down");
    default:
      return Error(Code::kCanceled, "call cancelled");
  }
}

void IncomingCall::OnHeader(std::string_view name, std::string_view value) {
  if (name == ":path") {
    method_ = connection_.registry().Find(value);
    if (method_ == nullptr) path_ = value;
  } else if (name == ":method") {
    is_post_ = value == "POST";
  } else if (name == "content-type") {
    is_grpc_ = IsGrpcContentType(value);
  } else if (name == "grpc-timeout") {
    const auto timeout = DecodeTimeout(value);
    if (timeout) {
      deadline_ = connection_.reactor().clock().After(*timeout);
    } else {
      refusal_ = Error(Code::kInternal, fmt::format("malformed grpc-timeout '{}'", value));
    }
  } else if (name == "grpc-encoding") {
    if (value != "identity") in_.set_encoding(std::string(value));
  } else if (!name.starts_with(':') && !IsTransportHeader(name)) {
    AddReceived(metadata_, name, value);
  }
}

void IncomingCall::OnHeadersTooLarge() {
  refusal_ =
      Error(Code::kResourceExhausted, fmt::format("received metadata larger than max ({} bytes)", kMaxHeaderListBytes));
}

void IncomingCall::OnHeadersEnd(bool end_of_stream) {
  if (queued_ || running_ || finished_) {
    if (end_of_stream) OnDataEnd();  // trailers of a request: nothing in them for us
    return;
  }
  if (!connection_.IsAuthorized()) {
    refusal_ = Error(Code::kUnauthenticated, "the client certificate's subject is not allowed");
  }
  if (end_of_stream) in_.End({});
  if (RefuseMalformed()) return;
  StartDeadline();
  queued_ = true;
  connection_.QueueCall(*this);
}

bool IncomingCall::RefuseMalformed() {
  if (!is_post_) {
    RefuseHttp("405", "gRPC requests are POST");
  } else if (!is_grpc_) {
    RefuseHttp("415", "the content-type is not application/grpc");
  } else if (refusal_) {
    Finish(std::unexpected(std::move(*refusal_)));
  } else if (method_ == nullptr) {
    Finish(Fail(Code::kUnimplemented, connection_.UnknownMethodText(path_)));
  } else {
    return false;
  }
  return true;
}

void IncomingCall::RefuseHttp(std::string_view status, std::string_view text) {
  finished_ = true;
  const HeaderField headers[] = {{":status", status}, {"grpc-status", "13"}, {"grpc-message", text}};
  session_->SubmitResponse(*this, headers, true);
}

void IncomingCall::StartDeadline() {
  if (deadline_.IsNever()) return;
  deadline_timer_ = connection_.reactor().clock().ScheduleAt(deadline_.at(), [this] { OnDeadline(); });
}

void IncomingCall::OnDeadline() {
  if (IsOver()) return;
  Finish(Fail(Code::kDeadlineExceeded, "deadline exceeded"));
  Cancel(CancelReason::kDeadline);
}

void IncomingCall::Cancel(CancelReason reason) {
  if (cancel_.IsCancelled()) return;
  cancel_.Cancel(reason);
  in_.Abort(OverError());
  writable_.Pulse();
}

void IncomingCall::OnDataEnd() {
  in_.End({});
}

bool IncomingCall::BeginHandler() {
  queued_ = false;
  if (closed_) {
    delete this;
    return false;
  }
  running_ = true;
  return true;
}

Awaitable<void> IncomingCall::RunHandler(IncomingCall* stream) {
  // However the handler is left, by its result or by the unwinding of its task.
  struct Guard {
    IncomingCall* stream;
    ~Guard() { stream->HandlerEnded(); }
  } guard{stream};
  auto result = co_await stream->method_->service->Handle(stream->method_->index, *stream);
  stream->Finish(std::move(result));
}

void IncomingCall::HandlerEnded() {
  running_ = false;
  if (closed_) {
    delete this;
    return;
  }
  Finish(Fail(Code::kUnavailable, "server is shutting down"));
}

Result<> IncomingCall::SendHeaders() {
  if (headers_sent_) return {};
  HeaderList headers;
  headers.Add(":status", "200");
  headers.Add("content-type", kContentType);
  headers.Add(initial_metadata_);
  auto checked = headers.Check(session_->PeerMaxHeaderListBytes());
  if (!checked) return checked;
  headers_sent_ = true;
  session_->SubmitResponse(*this, headers.fields(), false);
  return {};
}

void IncomingCall::Finish(Result<> status) {
  if (IsOver()) return;
  if (!headers_sent_ && !initial_metadata_.empty()) {
    auto sent = SendHeaders();
    if (!sent && status) status = std::move(sent);
  }
  finished_ = true;
  deadline_timer_.Cancel();
  status_ = std::move(status);
  if (headers_sent_) {
    out_ended_ = true;
    OutputChanged();
    return;
  }
  // "Trailers-Only": one header block is the whole response.
  HeaderList headers;
  headers.Add(":status", "200");
  headers.Add("content-type", kContentType);
  AddStatus(headers, status_, trailing_metadata_, session_->PeerMaxHeaderListBytes());
  session_->SubmitResponse(*this, headers.fields(), true);
}

bool IncomingCall::OnOutputEnd() {
  HeaderList trailers;
  AddStatus(trailers, status_, trailing_metadata_, session_->PeerMaxHeaderListBytes());
  session_->SubmitTrailers(*this, trailers.fields());
  return true;
}

void IncomingCall::OnClosed(std::uint32_t) {
  StreamGone();
}

void IncomingCall::OnConnectionLost(const Error&) {
  StreamGone();
}

void IncomingCall::StreamGone() {
  closed_ = true;
  deadline_timer_.Cancel();
  if (queued_ || running_) {
    // Keeps itself for the handler, which learns of it (unless it is just about to return).
    if (running_) Cancel(CancelReason::kCancelled);
    return;
  }
  delete this;
}

}  // namespace multigres::rpc
