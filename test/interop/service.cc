#include "service.h"

#include "tools/async/event.h"

namespace multigres::interop {
namespace {

using ::interop::ControlRequest;
using ::interop::ControlResponse;
using ::interop::Request;
using ::interop::Response;

void EchoMetadata(rpc::ServerContext& context) {
  for (const auto& [key, value] : context.metadata().entries()) {
    if (key.starts_with("x-initial-")) context.AddInitialMetadata(key, value);
    if (key.starts_with("x-trailing-")) context.AddTrailingMetadata(key, value);
  }
}

Response Answer(const Request& request) {
  Response response;
  response.set_payload(request.response_bytes() > 0 ? std::string(request.response_bytes(), 'r') : request.payload());
  return response;
}

Error ToError(const ::interop::Failure& failure) {
  return Error(static_cast<Code>(failure.code()), failure.message()).WithStatusDetails(std::string(failure.details()));
}

// An event that the hub's callbacks, which may outlive the handler, set on its reactor.
std::shared_ptr<Event> EventAt(Hub& hub, const std::string& key, Phase phase, Reactor& reactor) {
  auto event = std::make_shared<Event>();
  hub.When(key, phase, [event, &reactor] { reactor.Post([event] { event->Set(); }); });
  return event;
}

}  // namespace

Awaitable<Result<>> InteropService::HangOrFail(rpc::ServerContext& context, const Request& request) {
  if (!request.hang_key().empty()) {
    const std::shared_ptr<Event> released = EventAt(hub_, request.hang_key(), Phase::kReleased, context.reactor());
    const auto cancelled = context.cancel().OnCancel([released](CancelReason) { released->Set(); });
    hub_.Reach(request.hang_key(), Phase::kStarted);
    co_await released->Wait();
    if (context.cancel().IsCancelled()) {
      hub_.Reach(request.hang_key(), Phase::kCancelled);
      co_return Fail(Code::kCanceled, "cancelled while hanging");
    }
  }
  if (request.has_failure()) co_return std::unexpected(ToError(request.failure()));
  co_return Result<>();
}

Awaitable<Result<Response>> InteropService::Unary(rpc::ServerContext& context, const Request& request) {
  EchoMetadata(context);
  Result<> ready = co_await HangOrFail(context, request);
  if (!ready) co_return std::unexpected(std::move(ready.error()));
  co_return Answer(request);
}

Awaitable<Result<>> InteropService::ServerStream(rpc::ServerContext& context, const Request& request,
                                                 rpc::ServerWriter<Response>& writer) {
  EchoMetadata(context);
  Response response = Answer(request);
  for (std::uint32_t i = 0; i < request.count(); ++i) {
    response.set_count(i);
    Result<> written = co_await writer.Write(response);
    if (!written) co_return written;
  }
  co_return co_await HangOrFail(context, request);
}

Awaitable<Result<Response>> InteropService::ClientStream(rpc::ServerContext& context,
                                                         rpc::ServerReader<Request>& reader) {
  EchoMetadata(context);
  Response response;
  for (;;) {
    Request request;
    Result<bool> read = co_await reader.Read(request);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (!*read) co_return response;
    response.set_count(response.count() + 1);
    response.set_total_bytes(response.total_bytes() + request.payload().size());
    Result<> ready = co_await HangOrFail(context, request);
    if (!ready) co_return std::unexpected(std::move(ready.error()));
  }
}

Awaitable<Result<>> InteropService::Bidi(rpc::ServerContext& context, rpc::ServerStream<Request, Response>& stream) {
  EchoMetadata(context);
  for (;;) {
    Request request;
    Result<bool> read = co_await stream.Read(request);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (!*read) co_return Result<>();
    Result<> ready = co_await HangOrFail(context, request);
    if (!ready) co_return ready;
    Result<> written = co_await stream.Write(Answer(request));
    if (!written) co_return written;
  }
}

Awaitable<Result<ControlResponse>> InteropService::Control(rpc::ServerContext& context, const ControlRequest& request) {
  if (request.action() == ControlRequest::RELEASE) {
    hub_.Reach(request.key(), Phase::kReleased);
    co_return ControlResponse();
  }
  const Phase phase = request.action() == ControlRequest::AWAIT_STARTED ? Phase::kStarted : Phase::kCancelled;
  const std::shared_ptr<Event> reached = EventAt(hub_, request.key(), phase, context.reactor());
  const auto cancelled = context.cancel().OnCancel([reached](CancelReason) { reached->Set(); });
  co_await reached->Wait();
  co_return ControlResponse();
}

}  // namespace multigres::interop
