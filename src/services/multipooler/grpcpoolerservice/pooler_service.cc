#include "services/multipooler/grpcpoolerservice/pooler_service.h"

#include <optional>

#include "common/mterrors/conditions.h"
#include "common/mterrors/diagnostic_proto.h"
#include "common/mterrors/wire.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/result_pump.h"
#include "services/multipooler/grpcpoolerservice/remote_query_service.h"

namespace multigres::pooler::grpcpoolerservice {

using multipoolerservice::CopyBidiExecuteRequest;
using multipoolerservice::CopyBidiExecuteResponse;
using multipoolerservice::StreamPoolerHealthResponse;
using queryservice::CallScope;
using queryservice::CopyStream;
using queryservice::ExecuteOutcome;
using queryservice::QueryService;
using queryservice::ResultSink;
using rpc::ServerContext;
using rpc::ServerStream;
using rpc::ServerWriter;

namespace {

// A lag that crosses a gateway's tiers is told soon, a jittering one isn't told at every step.
constexpr Duration kLagCheckInterval = std::chrono::seconds(1);
constexpr std::int64_t kLagStepNs = 1'000'000'000;

CallScope ScopeOf(ServerContext& context, RunningStatements::Entry& running) {
  return {context.deadline(), &running.cancel()};
}

// Errors that carry their details already go as they are.
Error Outgoing(Error error, const ::query::ReservedState* state = nullptr) {
  return error.status_details().empty() ? mterrors::ToWire(error, state) : error;
}

// Nobody reads what this call still answers.
bool HasEnded(ServerContext& context) {
  return context.cancel().IsCancelled() || context.deadline().Passed(context.reactor().clock().Now());
}

RequestKind KindOf(const ::query::ExecuteOptions& options, bool reserves) {
  if (options.reserved_connection_id() != 0) return RequestKind::kExisting;
  return reserves ? RequestKind::kNew : RequestKind::kSingle;
}

Result<> CheckReasons(std::uint32_t reasons) {
  if ((reasons & ~executor::reason::kAll) == 0) return {};
  return Fail(Code::kInvalidArgument, fmt::format("unknown reservation reasons {:#x}", reasons));
}

Result<> CheckParameters(const ::query::Portal& portal) {
  std::uint64_t total = 0;
  for (const std::int64_t length : portal.param_lengths()) {
    if (length < -1) return Fail(Code::kInvalidArgument, "negative parameter length");
    if (length > 0) total += static_cast<std::uint64_t>(length);
  }
  if (total == portal.param_values().size()) return {};
  return Fail(Code::kInvalidArgument, "parameter lengths do not add up to the values");
}

// The executor that a call goes to: this reactor's, or by message the one that holds the session's reservation.
class Route {
 public:
  Route(PoolerDataPath& data_path, Reactor& reactor, std::uint64_t reserved_connection_id)
      : own_(&data_path.PathOf(reactor)) {
    if (reserved_connection_id == 0) return;
    ReactorPath* holder = data_path.PathAt(executor::ReservationTable::ReactorIndexOf(reserved_connection_id));
    if (holder != nullptr && holder != own_) remote_.emplace(reactor, holder->reactor, holder->executor);
  }
  QueryService& service() { return remote_ ? static_cast<QueryService&>(*remote_) : own_->executor; }

 private:
  ReactorPath* own_;
  std::optional<RemoteQueryService> remote_;
};

Awaitable<void> KillIn(executor::ReservationTable& table, const std::string& user, std::uint64_t id) {
  const auto reservation = table.Find(user, id);
  if (reservation != nullptr) table.Kill(*reservation);
  co_return;
}

template <class Response>
class WriterSink final : public ResultSink {
 public:
  explicit WriterSink(ServerWriter<Response>& writer) : writer_(writer) {}
  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override {
    Response response;
    response.mutable_result()->Swap(&payload);
    co_return co_await writer_.Write(response);
  }

 private:
  ServerWriter<Response>& writer_;
};

}  // namespace

PoolerService::PoolerService(PoolerServiceConfig config, PoolerDataPath& data_path, manager::ServingBoard& board,
                             Logger logger)
    : config_(std::move(config)), data_path_(data_path), board_(board), logger_(std::move(logger)) {}

PoolerService::~PoolerService() = default;

Result<> PoolerService::Admit(ServerContext& context, const ::query::Target& target,
                              const ::query::ExecuteOptions& options, RequestKind kind) {
  auto admitted = data_path_.PathOf(context.reactor()).admission.StartRequest(target, kind);
  if (!admitted) return admitted;
  if (options.user().empty()) return Fail(Code::kInvalidArgument, "request names no user");
  return {};
}

// Why a call isn't taken, for its caller. A session's own backend doesn't outlive its pooler's service: nothing that
// was begun there can be finished here, and its locks must not stay.
Awaitable<Error> PoolerService::Refuse(ServerContext& context, const ::query::ExecuteOptions& options, Error error) {
  const std::uint64_t id = options.reserved_connection_id();
  if (id == 0 || error.sqlstate() != mterrors::kPlannedFailover) co_return Outgoing(std::move(error));
  co_await Kill(context, options.user(), id);
  co_return Outgoing(mterrors::ReservedConnectionTerminated(id));
}

Awaitable<void> PoolerService::Kill(ServerContext& context, const std::string& user, std::uint64_t id) {
  ReactorPath* holder = data_path_.PathAt(executor::ReservationTable::ReactorIndexOf(id));
  if (holder == nullptr) co_return;
  co_await RunOn<void>(context.reactor(), holder->reactor,
                       [&table = holder->executor.reservations(), &user, id] { return KillIn(table, user, id); });
}

template <class Response, class Request>
Awaitable<Result<>> PoolerService::Stream(ServerContext& context, const Request& request, RequestKind kind,
                                          ServerWriter<Response>& writer,
                                          Awaitable<ExecuteOutcome> (QueryService::*method)(const Request&, CallScope,
                                                                                            ResultSink&)) {
  auto admitted = Admit(context, request.target(), request.options(), kind);
  if (admitted) admitted = CheckReasons(request.reservation_options().reasons());
  if (!admitted) co_return std::unexpected(co_await Refuse(context, request.options(), std::move(admitted.error())));
  Route route(data_path_, context.reactor(), request.options().reserved_connection_id());
  WriterSink<Response> sink(writer);
  RunningStatements::Entry running(data_path_.PathOf(context.reactor()).running,
                                   request.options().client_connection_id(), context.cancel());
  auto outcome = co_await (route.service().*method)(request, ScopeOf(context, running), sink);
  if (outcome.reserved_state != nullptr) {
    *outcome.reserved_state->mutable_pooler_id() = config_.id;
    Response last;
    const std::uint64_t id = outcome.reserved_state->reserved_connection_id();
    last.set_allocated_reserved_state(outcome.reserved_state.release());
    const auto told = co_await writer.Write(last);
    // Its session will never learn the number.
    const bool fresh = request.options().reserved_connection_id() == 0;
    if (fresh && (!told || HasEnded(context))) co_await Kill(context, request.options().user(), id);
  }
  if (outcome.result) co_return Result<>{};
  if (const auto& diagnostic = outcome.result.error().diagnostic();
      diagnostic != nullptr && !mterrors::FitsTheWire(outcome.result.error())) {
    Response whole;
    mterrors::ToProto(*diagnostic, *whole.mutable_result()->mutable_diagnostic());
    (void)co_await writer.Write(whole);
  }
  co_return std::unexpected(Outgoing(std::move(outcome.result.error())));
}

template <class Response, class Request>
Awaitable<Result<Response>> PoolerService::Unary(ServerContext& context, const Request& request, RequestKind kind,
                                                 Awaitable<Result<Response>> (QueryService::*method)(const Request&,
                                                                                                     CallScope)) {
  auto admitted = Admit(context, request.target(), request.options(), kind);
  if (!admitted) co_return std::unexpected(co_await Refuse(context, request.options(), std::move(admitted.error())));
  Route route(data_path_, context.reactor(), request.options().reserved_connection_id());
  RunningStatements::Entry running(data_path_.PathOf(context.reactor()).running,
                                   request.options().client_connection_id(), context.cancel());
  auto response = co_await (route.service().*method)(request, ScopeOf(context, running));
  if (!response) co_return std::unexpected(Outgoing(std::move(response.error())));
  if constexpr (requires { response->mutable_reserved_state(); }) {
    if (response->has_reserved_state()) *response->mutable_reserved_state()->mutable_pooler_id() = config_.id;
  }
  co_return std::move(*response);
}

Awaitable<Result<>> PoolerService::StreamExecute(ServerContext& context,
                                                 const multipoolerservice::StreamExecuteRequest& request,
                                                 ServerWriter<multipoolerservice::StreamExecuteResponse>& writer) {
  const auto kind = KindOf(request.options(), request.reservation_options().reasons() != 0);
  return Stream(context, request, kind, writer, &QueryService::StreamExecute);
}

Awaitable<Result<>> PoolerService::PortalStreamExecute(
    ServerContext& context, const multipoolerservice::PortalStreamExecuteRequest& request,
    ServerWriter<multipoolerservice::PortalStreamExecuteResponse>& writer) {
  auto checked = CheckParameters(request.portal());
  if (!checked) co_return std::unexpected(Outgoing(std::move(checked.error())));
  const bool reserves = request.options().max_rows() != 0 || request.reservation_options().reasons() != 0 ||
                        request.portal_options().hold_sync();
  co_return co_await Stream(context, request, KindOf(request.options(), reserves), writer,
                            &QueryService::PortalStreamExecute);
}

Awaitable<Result<multipoolerservice::ExecuteQueryResponse>> PoolerService::ExecuteQuery(
    ServerContext& context, const multipoolerservice::ExecuteQueryRequest& request) {
  auto admitted = Admit(context, request.target(), request.options(), KindOf(request.options(), false));
  if (!admitted) co_return std::unexpected(co_await Refuse(context, request.options(), std::move(admitted.error())));
  multipoolerservice::StreamExecuteRequest streamed;
  streamed.set_query(request.query());
  *streamed.mutable_target() = request.target();
  *streamed.mutable_options() = request.options();
  streamed.mutable_options()->set_passthrough_row(false);
  executor::CollectingSink sink;
  sink.set_max_rows(request.max_rows());
  Route route(data_path_, context.reactor(), request.options().reserved_connection_id());
  RunningStatements::Entry running(data_path_.PathOf(context.reactor()).running,
                                   request.options().client_connection_id(), context.cancel());
  auto outcome = co_await route.service().StreamExecute(streamed, ScopeOf(context, running), sink);
  if (outcome.reserved_state != nullptr) {
    *outcome.reserved_state->mutable_pooler_id() = config_.id;
    if (request.options().reserved_connection_id() == 0 && HasEnded(context)) {
      co_await Kill(context, request.options().user(), outcome.reserved_state->reserved_connection_id());
    }
  }
  if (!outcome.result) {
    co_return std::unexpected(Outgoing(std::move(outcome.result.error()), outcome.reserved_state.get()));
  }
  multipoolerservice::ExecuteQueryResponse response;
  response.set_allocated_result(sink.Take().release());
  if (outcome.reserved_state != nullptr) response.set_allocated_reserved_state(outcome.reserved_state.release());
  co_return response;
}

Awaitable<Result<multipoolerservice::DescribeResponse>> PoolerService::Describe(
    ServerContext& context, const multipoolerservice::DescribeRequest& request) {
  auto checked = CheckParameters(request.portal());
  if (!checked) co_return std::unexpected(Outgoing(std::move(checked.error())));
  co_return co_await Unary(context, request, KindOf(request.options(), false), &QueryService::Describe);
}

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> PoolerService::GetAuthCredentials(
    ServerContext& context, const multipoolerservice::GetAuthCredentialsRequest& request) {
  ReactorPath& path = data_path_.PathOf(context.reactor());
  auto admitted = path.admission.StartRequest(RequestKind::kNew);
  if (!admitted) co_return std::unexpected(Outgoing(std::move(admitted.error())));
  auto response = co_await path.executor.GetAuthCredentials(request, {context.deadline(), &context.cancel()});
  if (!response) co_return std::unexpected(Outgoing(std::move(response.error())));
  co_return std::move(*response);
}

Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> PoolerService::ConcludeTransaction(
    ServerContext& context, const multipoolerservice::ConcludeTransactionRequest& request) {
  return Unary(context, request, RequestKind::kExisting, &QueryService::ConcludeTransaction);
}

Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> PoolerService::DiscardTempTables(
    ServerContext& context, const multipoolerservice::DiscardTempTablesRequest& request) {
  return Unary(context, request, RequestKind::kExisting, &QueryService::DiscardTempTables);
}

Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> PoolerService::ReleaseReservedConnection(
    ServerContext& context, const multipoolerservice::ReleaseReservedConnectionRequest& request) {
  return Unary(context, request, RequestKind::kExisting, &QueryService::ReleaseReservedConnection);
}

Awaitable<Result<>> PoolerService::CopyBidiExecute(
    ServerContext& context, ServerStream<CopyBidiExecuteRequest, CopyBidiExecuteResponse>& stream) {
  CopyBidiExecuteRequest initiate;
  auto first = co_await stream.Read(initiate);
  if (!first) co_return std::unexpected(std::move(first.error()));
  if (!*first || initiate.phase() != CopyBidiExecuteRequest::INITIATE) {
    co_return Fail(Code::kInvalidArgument, "a COPY stream begins with INITIATE");
  }
  auto admitted = Admit(context, initiate.target(), initiate.options(), KindOf(initiate.options(), true));
  if (admitted) admitted = CheckReasons(initiate.reservation_options().reasons());
  if (!admitted) co_return std::unexpected(co_await Refuse(context, initiate.options(), std::move(admitted.error())));
  Route route(data_path_, context.reactor(), initiate.options().reserved_connection_id());
  RunningStatements::Entry running(data_path_.PathOf(context.reactor()).running,
                                   initiate.options().client_connection_id(), context.cancel());
  auto copy = co_await route.service().CopyBidiExecute(initiate, ScopeOf(context, running));
  if (!copy) co_return std::unexpected(Outgoing(std::move(copy.error())));
  const bool from_stdin = initiate.direction() == CopyBidiExecuteRequest::FROM_STDIN;
  while (true) {
    CopyBidiExecuteResponse message;
    auto received = co_await (*copy)->Receive(message);
    if (!received) co_return std::unexpected(Outgoing(std::move(received.error())));
    if (!*received) co_return Result<>{};
    if (message.has_reserved_state()) *message.mutable_reserved_state()->mutable_pooler_id() = config_.id;
    const bool ready = message.phase() == CopyBidiExecuteResponse::READY;
    auto written = co_await stream.Write(message);
    if (!written) co_return written;
    if (ready && from_stdin) {
      auto fed = co_await CopyFromStdin(**copy, stream);
      if (!fed) co_return fed;
    }
  }
}

// Passes the client's data on until it says that it's done, or that it has failed.
Awaitable<Result<>> PoolerService::CopyFromStdin(
    CopyStream& copy, ServerStream<CopyBidiExecuteRequest, CopyBidiExecuteResponse>& stream) {
  while (true) {
    CopyBidiExecuteRequest message;
    auto read = co_await stream.Read(message);
    if (!read) co_return std::unexpected(std::move(read.error()));
    // Gone without a word: the COPY is aborted when its stream is dropped.
    if (!*read) co_return Fail(Code::kAborted, "COPY stream ended without DONE or FAIL");
    auto sent = co_await copy.Send(message);
    if (!sent && sent.error().code() != Code::kAborted) co_return sent;
    const bool last = message.phase() != CopyBidiExecuteRequest::DATA;
    if (last || !sent) co_return Result<>{};
  }
}

StreamPoolerHealthResponse PoolerService::HealthSnapshot(const manager::ServingState& state) const {
  StreamPoolerHealthResponse snapshot;
  *snapshot.mutable_pooler_id() = config_.id;
  snapshot.set_serving_status(static_cast<clustermetadata::PoolerServingStatus>(state.status));
  auto& routing = *snapshot.mutable_routing_state();
  routing.set_role(static_cast<clustermetadata::PoolerType>(state.role));
  routing.mutable_rule()->set_coordinator_term(state.coordinator_term);
  routing.mutable_rule()->set_leader_subterm(state.leader_subterm);
  const auto staleness = std::chrono::duration_cast<std::chrono::seconds>(config_.health_staleness);
  snapshot.mutable_recommended_staleness_timeout()->set_seconds(staleness.count());
  snapshot.mutable_recommended_staleness_timeout()->set_nanos(
      static_cast<std::int32_t>((config_.health_staleness - staleness).count()));
  snapshot.set_replication_lag_ns(board_.replication_lag_ns());
  return snapshot;
}

Awaitable<Result<>> PoolerService::StreamPoolerHealth(ServerContext& context,
                                                      const multipoolerservice::StreamPoolerHealthRequest& request,
                                                      ServerWriter<StreamPoolerHealthResponse>& writer) {
  Clock& clock = context.reactor().clock();
  Event changed;
  std::optional<manager::ServingState> latest;
  auto subscription = board_.Listen(context.reactor(), [&](const manager::ServingState& state) {
    latest = state;
    changed.Set();
  });
  auto cancelled = context.cancel().OnCancel([&](CancelReason) { changed.Set(); });
  std::optional<StreamPoolerHealthResponse> sent;
  Deadline heartbeat;
  while (!context.cancel().IsCancelled()) {
    const bool told = co_await changed.WaitUntil(clock, clock.After(kLagCheckInterval).Earlier(heartbeat));
    changed.Reset();
    if (context.cancel().IsCancelled() || !latest) continue;
    const bool last = board_.ended();
    auto snapshot = HealthSnapshot(*latest);
    const bool lag_moved = sent && std::abs(snapshot.replication_lag_ns() - sent->replication_lag_ns()) >= kLagStepNs;
    if (!told && sent && !lag_moved && !heartbeat.Passed(clock.Now())) continue;
    // A gateway that doesn't read gets nothing stale later: its stream ends and it asks anew.
    if (!writer.TryWrite(snapshot)) co_return Fail(Code::kResourceExhausted, "health stream isn't being read");
    if (last) co_return Result<>();
    sent = std::move(snapshot);
    heartbeat = clock.After(config_.health_heartbeat);
  }
  co_return Fail(Code::kCanceled, "health stream cancelled");
}

}  // namespace multigres::pooler::grpcpoolerservice
