#include "services/multigateway/scatterconn/scatter_conn.h"

#include "common/mterrors/conditions.h"
#include "common/mterrors/wire.h"
#include "multipoolerservice.pb.h"
#include "query.pb.h"
#include "services/multigateway/scatterconn/request_cache.h"
#include "services/multigateway/scatterconn/reservation_update.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::scatterconn {
namespace {

using engine::CallScope;
using queryservice::ExecuteOutcome;
using queryservice::QueryService;
using session::Session;

void FillStatement(const session::StatementSource& source, ::query::PreparedStatement& statement) {
  statement.set_query(source.query);
  statement.mutable_param_types()->Assign(source.param_types.begin(), source.param_types.end());
}

// Adds what a call must tell the pooler about the reservation, portals that the client is done with included.
template <class Request>
void AddReservationOptions(Session& session, const engine::Pinning* pinning, Request& request) {
  bool releases = !session.portals_to_release().empty() && session.reservation().held();
  if (!releases && !NeedsReservationOptions(session, pinning)) return;
  FillReservationOptions(session, pinning, *request.mutable_reservation_options());
  if (!releases) return;
  for (std::string& name : session.portals_to_release()) {
    request.mutable_reservation_options()->add_release_portal_names(std::move(name));
  }
  session.portals_to_release().clear();
}

Result<> Settle(Session& session, ExecuteOutcome outcome) {
  Update(session, outcome.reserved_state.get(), outcome.result ? nullptr : &outcome.result.error());
  return std::move(outcome.result);
}

Error NothingReserved(Session& session) {
  Error error = mterrors::ReservedConnectionTerminated(session.reservation().connection_id);
  Forget(session);
  return error;
}

// A COPY whose pooler's word on the reservation reaches the session, whatever way it ends.
class TrackedCopy final : public queryservice::CopyStream {
 public:
  TrackedCopy(Session& session, std::unique_ptr<queryservice::CopyStream> stream)
      : session_(session), stream_(std::move(stream)) {}
  ~TrackedCopy() override {
    if (!ended_) Interrupted();
  }

  Awaitable<Result<>> Send(const multipoolerservice::CopyBidiExecuteRequest& message) override {
    return stream_->Send(message);
  }
  Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) override {
    auto received = co_await stream_->Receive(message);
    if (!received) {
      if (!ended_) Interrupted();
      co_return received;
    }
    if (!*received) co_return received;
    using Response = multipoolerservice::CopyBidiExecuteResponse;
    if (message.phase() == Response::READY) {
      Update(session_, message.has_reserved_state() ? &message.reserved_state() : nullptr, nullptr);
    } else if (message.phase() == Response::RESULT || message.phase() == Response::ERROR) {
      Update(session_, message.has_reserved_state() ? &message.reserved_state() : nullptr, nullptr);
      ended_ = true;
    }
    co_return received;
  }

 private:
  // Cut off, or given up: the pooler aborts it, and nobody says what came of the backend. One that was held for this
  // alone is given back; another answers for itself when it is next called.
  void Interrupted() {
    ended_ = true;
    const session::Reservation& reservation = session_.reservation();
    if (!reservation.held() || reservation.reasons == session::reason::kCopy) {
      Forget(session_);
    } else {
      session_.transaction().Fail();
    }
  }

  Session& session_;
  std::unique_ptr<queryservice::CopyStream> stream_;
  bool ended_ = false;
};

}  // namespace

RequestCache& ScatterConn::Requests(Session& session) {
  auto& cache = session.request_cache();
  if (!cache) cache = std::make_shared<RequestCache>(session);
  return *cache;
}

Result<QueryService*> ScatterConn::Holder(Session& session) {
  QueryService* holder = router_.QueryServiceByID(session.reservation().pooler_id);
  if (holder != nullptr) return holder;
  return std::unexpected(NothingReserved(session));
}

Result<QueryService*> ScatterConn::Route(Session& session) {
  if (session.reservation().held()) return Holder(session);
  auto routed = router_.QueryServiceFor(Requests(session).target());
  // Without a backend the block can't begin: PostgreSQL would be gone too.
  if (!routed) Update(session, nullptr, &routed.error());
  return routed;
}

Awaitable<Result<>> ScatterConn::StreamExecute(Session& session, engine::StatementCall call, CallScope scope,
                                               queryservice::ResultSink& sink) {
  auto pooler = Route(session);
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  auto& request = Requests(session).StreamExecute(session);
  request.mutable_options()->set_passthrough_row(call.passthrough);
  request.set_query(call.wrapper == nullptr ? std::string(call.sql) : std::string());
  if (call.wrapper != nullptr) {
    auto& wrapper = *request.mutable_options()->mutable_execute_sql_prepared_statement();
    FillStatement(*call.wrapper->source, *wrapper.mutable_prepared_statement());
    wrapper.set_sql_prefix(std::string(call.wrapper->prefix));
    wrapper.set_sql_suffix(std::string(call.wrapper->suffix));
  }
  AddReservationOptions(session, call.pinning, request);
  co_return Settle(session, co_await (*pooler)->StreamExecute(request, scope, sink));
}

Awaitable<Result<>> ScatterConn::PortalStreamExecute(Session& session, engine::PortalCall call, CallScope scope,
                                                     queryservice::ResultSink& sink) {
  auto pooler = Route(session);
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  auto& request = Requests(session).PortalStreamExecute(session);
  FillStatement(*call.portal->source, *request.mutable_prepared_statement());
  *request.mutable_portal() = *call.portal->bound;
  request.mutable_options()->set_max_rows(call.max_rows);
  if (call.include_describe) request.mutable_portal_options()->set_include_describe(true);
  if (call.portal->state == session::Portal::State::kSuspended) request.mutable_portal_options()->set_resume(true);
  AddReservationOptions(session, call.pinning, request);
  co_return Settle(session, co_await (*pooler)->PortalStreamExecute(request, scope, sink));
}

Awaitable<Result<std::unique_ptr<::query::StatementDescription>>> ScatterConn::Describe(
    Session& session, const session::StatementSource& source, const session::Portal* portal, CallScope scope) {
  bool reserved = session.reservation().held();
  Result<QueryService*> pooler = reserved ? Holder(session) : router_.QueryServiceFor(Requests(session).target());
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  multipoolerservice::DescribeRequest request;
  RequestCache& requests = Requests(session);
  *request.mutable_target() = requests.target();
  *request.mutable_caller_id() = requests.caller();
  *request.mutable_options() = requests.Options(session);
  FillStatement(source, *request.mutable_prepared_statement());
  if (portal != nullptr) *request.mutable_portal() = *portal->bound;
  auto described = co_await (*pooler)->Describe(request, scope);
  if (!described) {
    if (reserved && described.error().sqlstate() == mterrors::kSerializationFailure &&
        described.error().code() == Code::kAborted) {
      Forget(session);
    }
    co_return std::unexpected(std::move(described.error()));
  }
  co_return std::make_unique<::query::StatementDescription>(std::move(*described->mutable_description()));
}

Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> ScatterConn::CopyExecute(Session& session,
                                                                                      std::string_view sql,
                                                                                      bool from_stdin,
                                                                                      CallScope scope) {
  auto pooler = Route(session);
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  RequestCache& requests = Requests(session);
  multipoolerservice::CopyBidiExecuteRequest initiate;
  initiate.set_phase(multipoolerservice::CopyBidiExecuteRequest::INITIATE);
  initiate.set_direction(from_stdin ? multipoolerservice::CopyBidiExecuteRequest::FROM_STDIN
                                    : multipoolerservice::CopyBidiExecuteRequest::TO_STDOUT);
  initiate.set_query(std::string(sql));
  *initiate.mutable_target() = requests.target();
  *initiate.mutable_caller_id() = requests.caller();
  *initiate.mutable_options() = requests.Options(session);
  engine::Pinning pinning{.reasons = session::reason::kCopy};
  AddReservationOptions(session, &pinning, initiate);
  auto stream = co_await (*pooler)->CopyBidiExecute(initiate, scope);
  if (!stream) {
    Update(session, nullptr, &stream.error());
    co_return std::unexpected(std::move(stream.error()));
  }
  co_return std::make_unique<TrackedCopy>(session, std::move(*stream));
}

Awaitable<Result<std::unique_ptr<::query::QueryResult>>> ScatterConn::ConcludeTransaction(Session& session,
                                                                                          engine::Conclusion conclusion,
                                                                                          bool chain, CallScope scope) {
  bool plain_rollback = conclusion == engine::Conclusion::kRollback && !chain;
  auto pooler = Holder(session);
  if (!pooler) {
    if (plain_rollback) co_return std::unique_ptr<::query::QueryResult>();
    co_return std::unexpected(std::move(pooler.error()));
  }
  multipoolerservice::ConcludeTransactionRequest request;
  RequestCache& requests = Requests(session);
  *request.mutable_target() = requests.target();
  *request.mutable_caller_id() = requests.caller();
  *request.mutable_options() = requests.Options(session);
  request.set_conclusion(conclusion == engine::Conclusion::kCommit
                             ? multipoolerservice::TRANSACTION_CONCLUSION_COMMIT
                             : multipoolerservice::TRANSACTION_CONCLUSION_ROLLBACK);
  request.set_chain(chain);
  auto& rollback_map = *request.mutable_rollback_session_settings()->mutable_vars();
  for (const auto& [name, value] : session.settings().rollback_settings()->entries()) rollback_map[name] = value;
  // Suspended portals end with the transaction, cursors that it opened WITH HOLD only if it is rolled back. (A pooler
  // looks at the names only if it is.)
  std::vector<std::string> suspended = session.portals().Suspended();
  for (const std::string& name : suspended) request.add_release_portal_names(name);
  for (std::string& name : session.portals_to_release()) request.add_release_portal_names(std::move(name));
  if (conclusion == engine::Conclusion::kRollback) {
    for (std::string& name : session.settings().CursorsOfTransaction())
      request.add_release_portal_names(std::move(name));
  }
  session.portals_to_release().clear();
  session.portals().Clear();
  auto concluded = co_await (*pooler)->ConcludeTransaction(request, scope);
  if (!concluded) {
    Error& error = concluded.error();
    auto state = mterrors::ReservedStateOf(error);
    Update(session, state.get(), nullptr);
    bool lost = !session.reservation().held() && error.code() == Code::kAborted &&
                error.sqlstate() == mterrors::kSerializationFailure;
    if (plain_rollback && (lost || mterrors::IsConnectionError(error))) {
      co_return std::unique_ptr<::query::QueryResult>();
    }
    co_return std::unexpected(std::move(error));
  }
  Update(session, concluded->has_reserved_state() ? &concluded->reserved_state() : nullptr, nullptr);
  if (session.reservation().Has(session::reason::kPortal)) {
    for (std::string& name : suspended) session.portals_to_release().push_back(std::move(name));
  }
  co_return std::make_unique<::query::QueryResult>(std::move(*concluded->mutable_result()));
}

Awaitable<Result<>> ScatterConn::DiscardTempTables(Session& session, CallScope scope) {
  auto pooler = Holder(session);
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  multipoolerservice::DiscardTempTablesRequest request;
  RequestCache& requests = Requests(session);
  *request.mutable_target() = requests.target();
  *request.mutable_caller_id() = requests.caller();
  *request.mutable_options() = requests.Options(session);
  auto discarded = co_await (*pooler)->DiscardTempTables(request, scope);
  if (!discarded) {
    auto state = mterrors::ReservedStateOf(discarded.error());
    Update(session, state.get(), &discarded.error());
    co_return std::unexpected(std::move(discarded.error()));
  }
  Update(session, discarded->has_reserved_state() ? &discarded->reserved_state() : nullptr, nullptr);
  co_return Result<>();
}

Awaitable<Result<>> ScatterConn::ReleaseReservedConnection(Session& session, bool keep_sticky, CallScope scope) {
  auto pooler = Holder(session);
  if (!pooler) co_return Result<>();
  multipoolerservice::ReleaseReservedConnectionRequest request;
  RequestCache& requests = Requests(session);
  *request.mutable_target() = requests.target();
  *request.mutable_caller_id() = requests.caller();
  *request.mutable_options() = requests.Options(session);
  // A transaction that is open will be rolled back.
  auto& settings = *request.mutable_options()->mutable_session_settings();
  settings.clear();
  for (const auto& [name, value] : session.settings().rollback_settings()->entries()) settings[name] = value;
  request.set_keep_sticky_reservations(keep_sticky);
  auto released = co_await (*pooler)->ReleaseReservedConnection(request, scope);
  if (!released) {
    Forget(session);
    co_return std::unexpected(std::move(released.error()));
  }
  if (released->has_reserved_state()) {
    Update(session, &released->reserved_state(), nullptr);
  } else {
    Forget(session);
  }
  co_return Result<>();
}

}  // namespace multigres::gateway::scatterconn
