#include "services/multigateway/poolergateway/grpc_query_service.h"

#include "common/mterrors/conditions.h"
#include "common/mterrors/diagnostic_proto.h"
#include "common/mterrors/wire.h"
#include "common/rpc/channel.h"
#include "multipoolerservice.pb.h"
#include "query.pb.h"
#include "services/multigateway/poolergateway/interruption.h"

namespace multigres::gateway::poolergateway {
namespace {

using queryservice::CallScope;
using queryservice::ExecuteOutcome;
using queryservice::ResultSink;

// A call that is cut off when its scope ends.
rpc::CallOptions OptionsFor(const CallScope& scope) {
  return {.deadline = scope.deadline, .cancel = scope.cancel};
}

// One whose end is awaited: an Interruption looks after the scope, and the deadline is only for the pooler that hears
// of none.
rpc::CallOptions PatientOptionsFor(const CallScope& scope) {
  if (scope.deadline.IsNever()) return {};
  return {.deadline = Deadline(scope.deadline.at() + 2 * Interruption::kPatience)};
}

Error Abandoned(const Error& error) {
  return error.execution() == Execution::kDidNotExecute
             ? mterrors::TemporarilyUnavailable()
             : mterrors::OutcomeUnknown("another server has become the primary meanwhile");
}

Error Translate(const Error& error, const CallScope& scope, const CallsInFlight::Call& in_flight) {
  if (in_flight.abandoned() && error.code() == Code::kCanceled) return Abandoned(error);
  return mterrors::FromWire(error, scope.cancel == nullptr ? CancelReason::kNone : scope.cancel->reason());
}

Error Translate(const Error& error, const Interruption& interruption, const CallsInFlight::Call& in_flight) {
  if (in_flight.abandoned() && error.code() == Code::kCanceled) return Abandoned(error);
  if (interruption.unanswered() && error.execution() != Execution::kDidNotExecute) {
    return mterrors::OutcomeUnknown(interruption.reason() == CancelReason::kShutdown
                                        ? "the gateway is shutting down"
                                        : "the statement could not be cancelled in time");
  }
  return mterrors::FromWire(error, interruption.reason());
}

template <class Request>
bool AsksLeader(const Request& request) {
  if constexpr (requires { request.target(); }) {
    return request.target().pooler_type() == clustermetadata::PRIMARY;
  } else {
    return true;
  }
}

// Pumps a statement's stream into the sink, from the request on.
template <class Response, class Request>
Awaitable<ExecuteOutcome> Pump(rpc::Channel& channel, CallsInFlight& calls, TaskGroup& tasks, std::string_view path,
                               const Request& request, CallScope scope, ResultSink& sink) {
  auto call = channel.StartCall(path, PatientOptionsFor(scope));
  CallsInFlight::Call in_flight(calls, *call, AsksLeader(request));
  call->WriteLast(request);
  Interruption interruption(channel, *call, tasks, scope, request.options().client_connection_id());
  Response response;
  std::unique_ptr<::query::ReservedState> state;
  std::optional<PgDiagnostic> whole_diagnostic;  // of an error that is too long for the status
  for (;;) {
    response.Clear();
    auto read = co_await call->Read(response);
    if (!read) {
      Error error = Translate(read.error(), interruption, in_flight);
      if (whole_diagnostic) {
        Execution execution = error.execution();
        error = Error::FromDiagnostic(std::move(*whole_diagnostic), error.code()).WithExecution(execution);
      }
      co_return ExecuteOutcome(std::unexpected(std::move(error)), std::move(state));
    }
    if (!*read) co_return ExecuteOutcome(Result<>(), std::move(state));
    if (response.has_reserved_state()) {
      state = std::make_unique<::query::ReservedState>(std::move(*response.mutable_reserved_state()));
    }
    if (!response.has_result()) continue;
    if (response.result().has_diagnostic() && response.result().diagnostic().message_type() == 'E') {
      whole_diagnostic = mterrors::FromProto(response.result().diagnostic());
      continue;
    }
    auto taken = co_await sink.OnPayload(*response.mutable_result());
    if (!taken) {
      call->Cancel();
      co_return ExecuteOutcome(std::unexpected(std::move(taken.error())), std::move(state));
    }
  }
}

template <class Response>
Awaitable<Result<Response>> ReadOne(rpc::ClientCall& call) {
  Response response;
  auto read = co_await call.Read(response);
  if (read && !*read) co_return Fail(Code::kInternal, "the pooler ended the call without a response");
  if (read) {
    Response extra;
    read = co_await call.Read(extra);
  }
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return response;
}

// For what runs a statement.
template <class Response, class Request>
Awaitable<Result<Response>> PatientUnary(rpc::Channel& channel, CallsInFlight& calls, TaskGroup& tasks,
                                         std::string_view path, const Request& request, CallScope scope) {
  auto call = channel.StartCall(path, PatientOptionsFor(scope));
  CallsInFlight::Call in_flight(calls, *call, AsksLeader(request));
  call->WriteLast(request);
  Interruption interruption(channel, *call, tasks, scope, request.options().client_connection_id());
  auto response = co_await ReadOne<Response>(*call);
  if (!response) co_return std::unexpected(Translate(response.error(), interruption, in_flight));
  co_return response;
}

template <class Response, class Request>
Awaitable<Result<Response>> Unary(rpc::Channel& channel, CallsInFlight& calls, std::string_view path,
                                  const Request& request, CallScope scope) {
  auto call = channel.StartCall(path, OptionsFor(scope));
  CallsInFlight::Call in_flight(calls, *call, AsksLeader(request));
  call->WriteLast(request);
  auto response = co_await ReadOne<Response>(*call);
  if (!response) co_return std::unexpected(Translate(response.error(), scope, in_flight));
  co_return response;
}

// A COPY FROM can't commit before DONE has been sent; until then its call is cut off when its scope ends. Later, and in
// a COPY TO (which may be of a statement that writes), the answer is awaited.
class GrpcCopyStream final : public queryservice::CopyStream {
 public:
  using Request = multipoolerservice::CopyBidiExecuteRequest;

  GrpcCopyStream(CallsInFlight& calls, std::unique_ptr<rpc::ClientCall> call, bool asks_leader)
      : call_(std::move(call)), in_flight_(calls, *call_, asks_leader) {}

  Awaitable<Result<>> Start(rpc::Channel& channel, TaskGroup& tasks, CallScope scope, const Request& initiate) {
    const std::uint32_t client = initiate.options().client_connection_id();
    if (initiate.direction() == Request::TO_STDOUT) {
      call_->WriteLast(initiate);
      interruption_.emplace(channel, *call_, tasks, scope, client);
      co_return Result<>();
    }
    interruption_.emplace(channel, *call_, tasks, scope, client, false);
    co_return co_await Send(initiate);
  }

  Awaitable<Result<>> Send(const Request& message) override {
    if (message.phase() == Request::DONE || message.phase() == Request::FAIL) {
      // (Once the scope has ended nothing is sent any more: the call is over.)
      const bool ended = interruption_->reason() != CancelReason::kNone;
      if (message.phase() == Request::DONE && !ended) interruption_->AwaitAnswer();
      call_->WriteLast(message);
      co_return Result<>();
    }
    auto written = co_await call_->Write(message);
    if (!written) co_return std::unexpected(Translate(written.error(), *interruption_, in_flight_));
    co_return written;
  }

  Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) override {
    auto read = co_await call_->Read(message);
    if (!read) co_return std::unexpected(Translate(read.error(), *interruption_, in_flight_));
    co_return read;
  }

 private:
  std::unique_ptr<rpc::ClientCall> call_;
  CallsInFlight::Call in_flight_;
  std::optional<Interruption> interruption_;
};

}  // namespace

Awaitable<ExecuteOutcome> GrpcQueryService::StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                          CallScope scope, ResultSink& sink) {
  return Pump<multipoolerservice::StreamExecuteResponse>(
      channel_, calls_, tasks_, "/multipoolerservice.MultiPoolerService/StreamExecute", request, scope, sink);
}

Awaitable<ExecuteOutcome> GrpcQueryService::PortalStreamExecute(
    const multipoolerservice::PortalStreamExecuteRequest& request, CallScope scope, ResultSink& sink) {
  return Pump<multipoolerservice::PortalStreamExecuteResponse>(
      channel_, calls_, tasks_, "/multipoolerservice.MultiPoolerService/PortalStreamExecute", request, scope, sink);
}

Awaitable<Result<multipoolerservice::DescribeResponse>> GrpcQueryService::Describe(
    const multipoolerservice::DescribeRequest& request, CallScope scope) {
  return PatientUnary<multipoolerservice::DescribeResponse>(
      channel_, calls_, tasks_, "/multipoolerservice.MultiPoolerService/Describe", request, scope);
}

Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> GrpcQueryService::CopyBidiExecute(
    const multipoolerservice::CopyBidiExecuteRequest& initiate, CallScope scope) {
  auto call = channel_.StartCall("/multipoolerservice.MultiPoolerService/CopyBidiExecute", PatientOptionsFor(scope));
  auto stream = std::make_unique<GrpcCopyStream>(calls_, std::move(call), AsksLeader(initiate));
  auto started = co_await stream->Start(channel_, tasks_, scope, initiate);
  if (!started) co_return std::unexpected(std::move(started.error()));
  co_return stream;
}

Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> GrpcQueryService::ConcludeTransaction(
    const multipoolerservice::ConcludeTransactionRequest& request, CallScope scope) {
  return PatientUnary<multipoolerservice::ConcludeTransactionResponse>(
      channel_, calls_, tasks_, "/multipoolerservice.MultiPoolerService/ConcludeTransaction", request, scope);
}

Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> GrpcQueryService::DiscardTempTables(
    const multipoolerservice::DiscardTempTablesRequest& request, CallScope scope) {
  return PatientUnary<multipoolerservice::DiscardTempTablesResponse>(
      channel_, calls_, tasks_, "/multipoolerservice.MultiPoolerService/DiscardTempTables", request, scope);
}

Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> GrpcQueryService::ReleaseReservedConnection(
    const multipoolerservice::ReleaseReservedConnectionRequest& request, CallScope scope) {
  return Unary<multipoolerservice::ReleaseReservedConnectionResponse>(
      channel_, calls_, "/multipoolerservice.MultiPoolerService/ReleaseReservedConnection", request, scope);
}

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> GrpcQueryService::GetAuthCredentials(
    const multipoolerservice::GetAuthCredentialsRequest& request, CallScope scope) {
  return Unary<multipoolerservice::GetAuthCredentialsResponse>(
      channel_, calls_, "/multipoolerservice.MultiPoolerService/GetAuthCredentials", request, scope);
}

}  // namespace multigres::gateway::poolergateway
