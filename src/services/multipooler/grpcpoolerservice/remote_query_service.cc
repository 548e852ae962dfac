#include "services/multipooler/grpcpoolerservice/remote_query_service.h"

#include "multipoolerservice.pb.h"
#include "tools/result/check.h"

namespace multigres::pooler::grpcpoolerservice {

using queryservice::CallScope;
using queryservice::CopyStream;
using queryservice::ExecuteOutcome;
using queryservice::ResultSink;

namespace {

// The caller's cancellation, told on the other reactor. The twin token outlives both sides.
class CancelBridge {
 public:
  CancelBridge(Reactor& there, CallScope scope) : there_(there), deadline_(scope.deadline) {
    if (scope.cancel == nullptr) return;
    subscription_ = scope.cancel->OnCancel(
        [this](CancelReason reason) { there_.Post([twin = twin_, reason] { twin->Cancel(reason); }); });
  }
  CallScope scope() const { return {deadline_, twin_.get()}; }
  std::shared_ptr<CancelToken> twin() const { return twin_; }

 private:
  Reactor& there_;
  Deadline deadline_;
  std::shared_ptr<CancelToken> twin_ = std::make_shared<CancelToken>();
  CancelToken::Subscription subscription_;
};

Awaitable<Result<>> PassOn(ResultSink& sink, ::query::QueryResultPayload& payload) {
  co_return co_await sink.OnPayload(payload);
}

// Gives each payload to a sink on the caller's reactor, and waits for it there.
class RemoteSink final : public ResultSink {
 public:
  RemoteSink(Reactor& here, Reactor& there, ResultSink& sink) : here_(here), there_(there), sink_(sink) {}
  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override {
    co_return co_await RunOn<Result<>>(there_, here_,
                                       [this, &payload]() -> Awaitable<Result<>> { return PassOn(sink_, payload); });
  }

 private:
  Reactor& here_;
  Reactor& there_;
  ResultSink& sink_;
};

class RemoteCopyStream final : public CopyStream {
 public:
  RemoteCopyStream(Reactor& here, Reactor& there, std::unique_ptr<CopyStream> stream,
                   std::unique_ptr<CancelBridge> bridge)
      : here_(here), there_(there), stream_(std::move(stream)), bridge_(std::move(bridge)) {}
  ~RemoteCopyStream() override {
    // It must end where it lives; its token with it.
    there_.Post([stream = std::move(stream_), twin = bridge_->twin()]() mutable { stream.reset(); });
  }
  Awaitable<Result<>> Send(const multipoolerservice::CopyBidiExecuteRequest& message) override {
    co_return co_await RunOn<Result<>>(here_, there_,
                                       [this, &message]() -> Awaitable<Result<>> { return stream_->Send(message); });
  }
  Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) override {
    co_return co_await RunOn<Result<bool>>(
        here_, there_, [this, &message]() -> Awaitable<Result<bool>> { return stream_->Receive(message); });
  }

 private:
  Reactor& here_;
  Reactor& there_;
  std::unique_ptr<CopyStream> stream_;
  std::unique_ptr<CancelBridge> bridge_;
};

// A unary method: request and scope there, response back.
template <class Response, class Request>
Awaitable<Result<Response>> Unary(Reactor& here, Reactor& there, queryservice::QueryService& service,
                                  Awaitable<Result<Response>> (queryservice::QueryService::*method)(const Request&,
                                                                                                    CallScope),
                                  const Request& request, CallScope scope) {
  CancelBridge bridge(there, scope);
  const CallScope remote = bridge.scope();
  co_return co_await RunOn<Result<Response>>(here, there,
                                             [&service, method, &request, remote]() -> Awaitable<Result<Response>> {
                                               return (service.*method)(request, remote);
                                             });
}

}  // namespace

Awaitable<ExecuteOutcome> RemoteQueryService::StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                            CallScope scope, ResultSink& sink) {
  CancelBridge bridge(there_, scope);
  RemoteSink remote(here_, there_, sink);
  co_return co_await RunOn<ExecuteOutcome>(here_, there_, [&]() -> Awaitable<ExecuteOutcome> {
    return service_.StreamExecute(request, bridge.scope(), remote);
  });
}

Awaitable<ExecuteOutcome> RemoteQueryService::PortalStreamExecute(
    const multipoolerservice::PortalStreamExecuteRequest& request, CallScope scope, ResultSink& sink) {
  CancelBridge bridge(there_, scope);
  RemoteSink remote(here_, there_, sink);
  co_return co_await RunOn<ExecuteOutcome>(here_, there_, [&]() -> Awaitable<ExecuteOutcome> {
    return service_.PortalStreamExecute(request, bridge.scope(), remote);
  });
}

Awaitable<Result<std::unique_ptr<CopyStream>>> RemoteQueryService::CopyBidiExecute(
    const multipoolerservice::CopyBidiExecuteRequest& initiate, CallScope scope) {
  auto bridge = std::make_unique<CancelBridge>(there_, scope);
  const CallScope remote = bridge->scope();
  auto stream = co_await RunOn<Result<std::unique_ptr<CopyStream>>>(
      here_, there_, [this, &initiate, remote]() -> Awaitable<Result<std::unique_ptr<CopyStream>>> {
        return service_.CopyBidiExecute(initiate, remote);
      });
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  co_return std::make_unique<RemoteCopyStream>(here_, there_, std::move(*stream), std::move(bridge));
}

Awaitable<Result<multipoolerservice::DescribeResponse>> RemoteQueryService::Describe(
    const multipoolerservice::DescribeRequest& request, CallScope scope) {
  co_return co_await Unary(here_, there_, service_, &queryservice::QueryService::Describe, request, scope);
}

Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> RemoteQueryService::ConcludeTransaction(
    const multipoolerservice::ConcludeTransactionRequest& request, CallScope scope) {
  co_return co_await Unary(here_, there_, service_, &queryservice::QueryService::ConcludeTransaction, request, scope);
}

Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> RemoteQueryService::DiscardTempTables(
    const multipoolerservice::DiscardTempTablesRequest& request, CallScope scope) {
  co_return co_await Unary(here_, there_, service_, &queryservice::QueryService::DiscardTempTables, request, scope);
}

Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> RemoteQueryService::ReleaseReservedConnection(
    const multipoolerservice::ReleaseReservedConnectionRequest& request, CallScope scope) {
  co_return co_await Unary(here_, there_, service_, &queryservice::QueryService::ReleaseReservedConnection, request,
                           scope);
}

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> RemoteQueryService::GetAuthCredentials(
    const multipoolerservice::GetAuthCredentialsRequest& request, CallScope scope) {
  co_return co_await Unary(here_, there_, service_, &queryservice::QueryService::GetAuthCredentials, request, scope);
}

}  // namespace multigres::pooler::grpcpoolerservice
