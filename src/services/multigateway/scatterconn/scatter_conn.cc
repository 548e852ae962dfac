#include "services/multigateway/scatterconn/scatter_conn.h"

#include "common/mterrors/conditions.h"
#include "common/mterrors/wire.h"
#include "common/topoclient/names.h"
#include "multipoolerservice.pb.h"
#include "query.pb.h"
#include "services/multigateway/scatterconn/lost_call.h"
#include "services/multigateway/scatterconn/peeked_copy.h"
#include "services/multigateway/scatterconn/replay_safety.h"
#include "services/multigateway/scatterconn/request_cache.h"
#include "services/multigateway/scatterconn/reservation_update.h"
#include "services/multigateway/scatterconn/tracked_copy.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::scatterconn {
namespace {

using buffer::Attempts;
using buffer::Replay;
using engine::CallScope;
using queryservice::ExecuteOutcome;
using queryservice::QueryService;
using session::Session;

constexpr Duration kGiveBackTime = std::chrono::seconds(1);

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

// Knows whether the statement has shown its client anything.
class NotingSink final : public queryservice::ResultSink {
 public:
  explicit NotingSink(queryservice::ResultSink& sink) : sink_(sink) {}
  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override {
    delivered_ = true;
    return sink_.OnPayload(payload);
  }
  bool delivered() const { return delivered_; }

 private:
  queryservice::ResultSink& sink_;
  bool delivered_ = false;
};

Result<> Settle(Session& session, ExecuteOutcome outcome, bool prepares_transaction) {
  if (!outcome.result) {
    auto as_client_sees = prepares_transaction ? CommitAsClientSees : AsClientSees;
    outcome.result = std::unexpected(as_client_sees(session, std::move(outcome.result.error())));
  }
  Update(session, outcome.reserved_state.get(), outcome.result ? nullptr : &outcome.result.error());
  return std::move(outcome.result);
}

Error NothingReserved(Session& session) {
  Error error = mterrors::ReservedConnectionTerminated(session.reservation().connection_id);
  Forget(session);
  return error;
}

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
  return router_.QueryServiceFor(Requests(session).target());
}

Attempts ScatterConn::AttemptsFor(Session& session, const ::query::Target& target, bool reserves, Replay replay,
                                  CallScope scope) {
  const buffer::RequestTraits traits{.database = target.database(),
                                     .table_group = target.table_group(),
                                     .shard = target.shard(),
                                     .primary = !session.TargetReplica(),
                                     .reserves = reserves && !session.reservation().held(),
                                     .replay = session.reservation().held() ? Replay::kIfUnsent : replay};
  return Attempts(buffer_, clock_, traits, scope, [&session] { return session.ClientGone(); });
}

template <class Request>
Awaitable<Result<>> ScatterConn::Run(Session& session, const Request& request, const engine::Pinning* pinning,
                                     Awaitable<ExecuteOutcome> (QueryService::*method)(const Request&, CallScope,
                                                                                       queryservice::ResultSink&),
                                     CallScope scope, queryservice::ResultSink& sink) {
  const bool prepares = pinning != nullptr && pinning->prepares_transaction;
  const bool undone_if_lost = session.transaction().begin_unsent() && !prepares;
  const bool reserves = request.reservation_options().reasons() != 0 || request.options().max_rows() != 0;
  Attempts attempts = AttemptsFor(session, request.target(), reserves,
                                  undone_if_lost ? Replay::kIfUncommitted : Replay::kIfUnexecuted, scope);
  if (attempts.MustWaitFirst()) {
    auto waited = co_await attempts.Begin();
    if (!waited) co_return Settle(session, ExecuteOutcome(std::move(waited), nullptr), prepares);
  }
  NotingSink noting(sink);
  while (true) {
    auto pooler = Route(session);
    ExecuteOutcome outcome;
    if (pooler) {
      outcome = co_await ((*pooler)->*method)(request, scope, noting);
    } else {
      outcome.result = std::unexpected(std::move(pooler.error()));
    }
    if (outcome.result) co_return Settle(session, std::move(outcome), prepares);
    Error& error = outcome.result.error();
    const bool again =
        co_await attempts.Again(error, noting.delivered(), [&session] { return IsReplaySafeIfReadOnly(session); });
    if (!again) co_return Settle(session, std::move(outcome), prepares);
    if (pooler && outcome.reserved_state != nullptr && !session.reservation().held()) {
      co_await GiveBack(session, outcome.reserved_state->pooler_id(), outcome.reserved_state->reserved_connection_id());
    }
  }
}

Awaitable<void> ScatterConn::GiveBack(Session& session, const clustermetadata::ID& pooler_id,
                                      std::uint64_t connection_id) {
  QueryService* pooler = router_.QueryServiceByID(topo::ComponentId(pooler_id));
  if (pooler == nullptr) co_return;
  multipoolerservice::ReleaseReservedConnectionRequest request;
  RequestCache& requests = Requests(session);
  *request.mutable_target() = requests.target();
  *request.mutable_caller_id() = requests.caller();
  *request.mutable_options() = requests.Options(session);
  request.mutable_options()->set_reserved_connection_id(connection_id);
  // If it fails the pooler's inactivity timeout does it.
  (void)co_await pooler->ReleaseReservedConnection(request, {clock_.After(kGiveBackTime), nullptr});
}

Awaitable<Result<>> ScatterConn::StreamExecute(Session& session, engine::StatementCall call, CallScope scope,
                                               queryservice::ResultSink& sink) {
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
  return Run(session, request, call.pinning, &QueryService::StreamExecute, scope, sink);
}

Awaitable<Result<>> ScatterConn::PortalStreamExecute(Session& session, engine::PortalCall call, CallScope scope,
                                                     queryservice::ResultSink& sink) {
  auto& request = Requests(session).PortalStreamExecute(session);
  FillStatement(*call.portal->source, *request.mutable_prepared_statement());
  *request.mutable_portal() = *call.portal->bound;
  request.mutable_options()->set_max_rows(call.max_rows);
  if (call.include_describe) request.mutable_portal_options()->set_include_describe(true);
  if (call.portal->state == session::Portal::State::kSuspended) request.mutable_portal_options()->set_resume(true);
  AddReservationOptions(session, call.pinning, request);
  return Run(session, request, call.pinning, &QueryService::PortalStreamExecute, scope, sink);
}

Awaitable<Result<std::unique_ptr<::query::StatementDescription>>> ScatterConn::Describe(
    Session& session, const session::StatementSource& source, const session::Portal* portal, CallScope scope) {
  multipoolerservice::DescribeRequest request;
  RequestCache& requests = Requests(session);
  *request.mutable_target() = requests.target();
  *request.mutable_caller_id() = requests.caller();
  *request.mutable_options() = requests.Options(session);
  FillStatement(source, *request.mutable_prepared_statement());
  if (portal != nullptr) *request.mutable_portal() = *portal->bound;
  Attempts attempts = AttemptsFor(session, requests.target(), false, Replay::kAlways, scope);
  while (true) {
    const bool reserved = session.reservation().held();
    Result<multipoolerservice::DescribeResponse> described;
    if (auto pooler = Route(session)) {
      described = co_await (*pooler)->Describe(request, scope);
    } else {
      described = std::unexpected(std::move(pooler.error()));
    }
    if (described) {
      co_return std::make_unique<::query::StatementDescription>(std::move(*described->mutable_description()));
    }
    if (co_await attempts.Again(described.error(), false)) continue;
    Error error = AsClientSees(session, std::move(described.error()));
    if (reserved && error.sqlstate() == mterrors::kSerializationFailure && error.code() == Code::kAborted) {
      Forget(session);
    }
    co_return std::unexpected(std::move(error));
  }
}

Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> ScatterConn::CopyExecute(Session& session,
                                                                                      std::string_view sql,
                                                                                      bool from_stdin,
                                                                                      CallScope scope) {
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
  Attempts attempts = AttemptsFor(session, requests.target(), true, Replay::kIfUnexecuted, scope);
  if (attempts.MustWaitFirst()) {
    auto waited = co_await attempts.Begin();
    if (!waited) {
      Update(session, nullptr, &waited.error());
      co_return std::unexpected(std::move(waited.error()));
    }
  }
  while (true) {
    auto stream = co_await OpenCopy(session, initiate, scope);
    if (stream) co_return std::make_unique<TrackedCopy>(session, std::move(*stream), from_stdin);
    if (co_await attempts.Again(stream.error(), false)) continue;
    Error error = AsClientSees(session, std::move(stream.error()));
    Update(session, nullptr, &error);
    co_return std::unexpected(std::move(error));
  }
}

// Up to the answer to INITIATE, so that what didn't begin can begin anew.
Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> ScatterConn::OpenCopy(
    Session& session, const multipoolerservice::CopyBidiExecuteRequest& initiate, CallScope scope) {
  auto pooler = Route(session);
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  auto stream = co_await (*pooler)->CopyBidiExecute(initiate, scope);
  if (!stream) co_return stream;
  co_return co_await PeekedCopy::Open(std::move(*stream));
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
    auto state = mterrors::ReservedStateOf(concluded.error());
    const bool commits = conclusion == engine::Conclusion::kCommit;
    Error error = commits ? CommitAsClientSees(session, std::move(concluded.error()))
                          : AsClientSees(session, std::move(concluded.error()));
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
    Error error = AsClientSees(session, std::move(discarded.error()));
    Update(session, state.get(), &error);
    co_return std::unexpected(std::move(error));
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
