#include "services/multipooler/executor/executor.h"

#include "common/mterrors/conditions.h"
#include "common/mterrors/wire.h"
#include "common/pgclient/query.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/credentials.h"
#include "services/multipooler/executor/interruption.h"
#include "services/multipooler/executor/statement.h"

namespace multigres::pooler::executor {

using queryservice::CallScope;
using queryservice::ExecuteOutcome;

namespace {

constexpr int kAttempts = 3;
constexpr Duration kRetryDelay = std::chrono::milliseconds(100);
constexpr Duration kCleanUpTime = std::chrono::seconds(5);
// What a transaction or a COPY leaves on a connection is gone when it ends; everything else needs a reset.
constexpr std::uint32_t kLeavesNothing = reason::kTransaction | reason::kCopy;

pgclient::Bounds BoundsOf(CallScope scope) {
  return {scope.deadline, scope.cancel};
}

connpool::Secret SecretOf(const ::query::ExecuteOptions& options) {
  auth::ScramKeys keys;
  if (!options.has_user_auth() || !keys.client_key.Assign(options.user_auth().client_key()) ||
      !keys.server_key.Assign(options.user_auth().server_key())) {
    return pgclient::NoSecret{};
  }
  return keys;
}

constexpr std::string_view kNoWritesInRecovery = "cannot set transaction read-write mode during recovery";

bool IsUnexecuted(const Error& error) {
  return error.execution() == Execution::kDidNotExecute;
}

// A statement that provably did not run for want of a server, said so that it may run on another.
Error Unexecuted(Error error) {
  if (!IsUnexecuted(error) || !pgclient::IsConnectionError(error)) return error;
  if (error.diagnostic() != nullptr) return mterrors::TemporarilyUnavailable(*error.diagnostic());
  return mterrors::TemporarilyUnavailable();
}

// Refused because this server is in recovery: a leader would have taken it.
Error RefusedByStandby(const pgclient::Connection& connection, Error error) {
  const bool of_recovery =
      error.sqlstate() == "25006" || (error.sqlstate() == "0A000" && error.message() == kNoWritesInRecovery);
  if (!of_recovery) return error;
  const auto hot_standby = connection.parameters().find("in_hot_standby");
  if (hot_standby == connection.parameters().end() || hot_standby->second != "on") return error;
  return Error::FromDiagnostic(*error.diagnostic(), Code::kReadOnly).WithExecution(Execution::kExecuted);
}

bool InTransaction(const Reservation& reservation) {
  return reservation.pipeline_open ||
         reservation.lease->connection->transaction_status() != pgwire::TransactionStatus::kIdle;
}

void UpdateReasons(Reservation& reservation, const ::query::ReservationOptions& wanted, bool failed) {
  const std::uint32_t added = wanted.reasons() & ~reason::kTransaction;
  reservation.reasons |= failed ? added & ~reason::kStatementLocal : added;
  if (!failed) {
    reservation.pinned_portals.insert(wanted.pin_portal_names().begin(), wanted.pin_portal_names().end());
    for (const auto& name : wanted.release_portal_names()) reservation.pinned_portals.erase(name);
    if ((added & reason::kTempTable) != 0) reservation.lease->tainted = true;
  }
}

// Bits that follow from the connection's own state.
void DeriveReasons(Reservation& reservation) {
  const auto set = [&](std::uint32_t bit, bool on) {
    reservation.reasons = on ? reservation.reasons | bit : reservation.reasons & ~bit;
  };
  set(reason::kTransaction, InTransaction(reservation));
  set(reason::kPortal, !reservation.pinned_portals.empty());
  if (!InTransaction(reservation)) reservation.open_portals.clear();
  reservation.ever |= reservation.reasons;
}

}  // namespace

std::string ApplicationNameOf(const ::query::ExecuteOptions& options) {
  const auto it = options.session_settings().find(std::string(connpool::kApplicationName));
  return it == options.session_settings().end() ? std::string() : it->second;
}

Executor::Executor(connpool::PoolSet& pools, std::uint8_t reactor_index, ExecutorConfig config, Logger logger)
    : pools_(pools),
      config_(config),
      logger_(std::move(logger)),
      reservations_(pools.reactor(), reactor_index, config.reserved_inactivity_timeout),
      tasks_(pools.reactor().executor()) {}

Executor::~Executor() = default;

void Executor::Start() {
  tasks_.Spawn("reservation watch", WatchInactivity());
}

Awaitable<void> Executor::Stop() {
  co_await asio::this_coro::reset_cancellation_state();
  reservations_.KillAll();
  co_await tasks_.CancelAndJoin();
}

Awaitable<void> Executor::WatchInactivity() {
  if (config_.reserved_inactivity_timeout == Duration::zero()) co_return;
  while (true) {
    co_await SleepFor(pools_.reactor().clock(), config_.reserved_inactivity_timeout / 10);
    if (const auto killed = reservations_.KillExpired(); killed > 0) {
      logger_.Info("idle reservations closed", {{"count", killed}});
    }
  }
}

connpool::LabelRef Executor::LabelOf(const ::query::ExecuteOptions& options) {
  if (options.session_settings().empty()) return pools_.clean_label();
  auto label = pools_.labels().Intern(options.session_settings());
  return label->empty() ? pools_.clean_label() : label;
}

std::unique_ptr<::query::ReservedState> Executor::StateOf(const Reservation& reservation) const {
  auto state = std::make_unique<::query::ReservedState>();
  state->set_reserved_connection_id(reservation.id);
  state->set_reservation_reasons(reservation.reasons);
  state->set_backend_process_id(static_cast<std::uint32_t>(reservation.lease->connection->process_id()));
  return state;
}

// A session's connection that is lost takes state with it. PostgreSQL's own word on it goes to the client as it is.
Error Executor::Lost(const Reservation& reservation, Error error, bool may_commit) const {
  if (error.diagnostic() != nullptr || error.sqlstate() == mterrors::kQueryCanceled) return error;
  if (may_commit && !IsUnexecuted(error)) return mterrors::OutcomeUnknown();
  return mterrors::ReservedConnectionTerminated(reservation.id);
}

Awaitable<Result<connpool::Lease>> Executor::Borrow(const ::query::ExecuteOptions& options, CallScope scope) {
  const auto label = LabelOf(options);
  const auto secret = SecretOf(options);
  const auto application_name = ApplicationNameOf(options);
  for (int attempt = 1;; ++attempt) {
    auto lease = co_await pools_.Acquire(options.user(), label, secret, BoundsOf(scope));
    if (!lease) co_return lease;
    (*lease)->client_connection_id = options.client_connection_id();
    auto dressed = co_await connpool::Dress(**lease, label, pools_.clean_label(), application_name, BoundsOf(scope));
    if (dressed) co_return lease;
    lease->Close();
    if (!pgclient::IsConnectionError(dressed.error()) || attempt == kAttempts) {
      co_return std::unexpected(Unexecuted(std::move(dressed.error())));
    }
    co_await SleepFor(pools_.reactor().clock(), kRetryDelay);
  }
}

Awaitable<Result<std::shared_ptr<Reservation>>> Executor::Claim(const ::query::ExecuteOptions& options,
                                                                CallScope scope) {
  if (const auto id = options.reserved_connection_id(); id != 0) {
    auto reservation = reservations_.Find(options.user(), id);
    if (reservation == nullptr) co_return std::unexpected(mterrors::ReservedConnectionTerminated(id));
    // A session whose statement was cancelled goes on before that statement has quite ended here.
    const Deadline patience = scope.deadline.Earlier(pools_.reactor().clock().After(kCleanUpTime));
    while (reservation->busy && co_await reservation->freed.WaitUntil(pools_.reactor().clock(), patience)) {
    }
    if (reservation->killed || !reservation->lease) {
      co_return std::unexpected(mterrors::ReservedConnectionTerminated(id));
    }
    if (reservation->busy) {
      co_return Fail(Code::kFailedPrecondition, fmt::format("[BUG] reserved connection {} is in use", id));
    }
    // It may have been closed from the other end while nobody looked.
    if (auto alive = reservation->lease->connection->CheckIdle(); !reservation->pipeline_open && !alive) {
      auto lost = Lost(*reservation, std::move(alive.error()), false);
      reservations_.Kill(*reservation);
      co_return std::unexpected(std::move(lost));
    }
    reservation->busy = true;
    co_return reservation;
  }
  auto lease = co_await Borrow(options, scope);
  if (!lease) co_return std::unexpected(std::move(lease.error()));
  auto reservation = std::make_shared<Reservation>();
  reservation->user = options.user();
  reservation->lease = std::move(*lease);
  reservation->busy = true;
  co_return reservation;
}

void Executor::Unclaim(Reservation& reservation) {
  reservation.busy = false;
  reservation.freed.Pulse();
}

Awaitable<ExecuteOutcome> Executor::Run(Statement& statement, const ::query::ExecuteOptions& options,
                                        const ::query::ReservationOptions& reservation, CallScope scope,
                                        queryservice::ResultSink& sink) {
  statement.passthrough = options.passthrough_row();
  if (options.reserved_connection_id() == 0 && reservation.reasons() == 0) {
    co_return co_await RunPooled(statement, options, scope, sink);
  }
  co_return co_await RunReserved(statement, options, reservation, scope, sink);
}

Awaitable<ExecuteOutcome> Executor::RunPooled(Statement& statement, const ::query::ExecuteOptions& options,
                                              CallScope scope, queryservice::ResultSink& sink) {
  for (int attempt = 1;; ++attempt) {
    auto lease = co_await Borrow(options, scope);
    if (!lease) co_return ExecuteOutcome(std::unexpected(std::move(lease.error())), nullptr);
    PumpResult pumped;
    do {
      statement.Send(**lease, false);
      pumped = co_await PumpResults(*(*lease)->connection, scope, sink, {.passthrough = statement.passthrough});
      statement.Finished(**lease, pumped);
    } while (statement.RetryOnSameConnection(**lease, pumped));
    const bool lost = (*lease)->connection->broken();
    if (lost && !pumped.result && !pumped.delivered && IsUnexecuted(pumped.result.error()) && attempt < kAttempts) {
      lease->Close();
      co_await SleepFor(pools_.reactor().clock(), kRetryDelay);
      continue;
    }
    if (pumped.unanswered) {
      pumped.result = std::unexpected(NotCancelledInTime());
    } else if (!pumped.result) {
      pumped.result =
          std::unexpected(RefusedByStandby(*(*lease)->connection, Unexecuted(std::move(pumped.result.error()))));
    }
    if (pumped.unreplicated) (*lease)->tainted = true;
    lease->Release(nullptr);
    co_return ExecuteOutcome(std::move(pumped.result), nullptr);
  }
}

Awaitable<ExecuteOutcome> Executor::RunReserved(Statement& statement, const ::query::ExecuteOptions& options,
                                                const ::query::ReservationOptions& wanted, CallScope scope,
                                                queryservice::ResultSink& sink) {
  auto claimed = co_await Claim(options, scope);
  if (!claimed) co_return ExecuteOutcome(std::unexpected(std::move(claimed.error())), nullptr);
  const auto reservation = *claimed;
  auto& connection = *reservation->lease->connection;

  const bool asks_for_transaction = (wanted.reasons() & reason::kTransaction) != 0;
  const bool begin =
      asks_for_transaction && !InTransaction(*reservation) && (!statement.hold_sync || !wanted.begin_query().empty());
  PumpOptions pump_options{.passthrough = statement.passthrough};
  if (begin) {
    // In one flush with the statement, which the server skips if this fails.
    connection.SendParse("", wanted.begin_query().empty() ? std::string_view("BEGIN") : wanted.begin_query());
    connection.SendBind({});
    connection.SendExecute("");
    pump_options.skip_completions = 1;
  }
  bool may_commit = !begin && !InTransaction(*reservation);
  statement.parses_before = begin ? 1 : 0;
  statement.portal_is_open = reservation->open_portals.contains(statement.portal_name);
  statement.Send(*reservation->lease, begin);
  auto pumped = co_await PumpResults(connection, scope, sink, pump_options);
  statement.Finished(*reservation->lease, pumped);

  if (statement.hold_sync && !connection.broken()) {
    reservation->pipeline_open = pumped.result.has_value();
    if (!pumped.result) {
      // The server skips everything until it sees a Sync: rolled back then.
      connection.SendSync();
      auto drained =
          co_await pgclient::DrainToSync(connection, {pools_.reactor().clock().After(kCleanUpTime), nullptr});
      if (!drained) connection.Close();
    }
  }
  if (connection.broken()) {
    auto error = pumped.result ? Error(Code::kUnavailable, "connection closed") : std::move(pumped.result.error());
    may_commit |= MayPrepareTransaction(statement.Text());
    if (pumped.unanswered && may_commit) {
      error = NotCancelledInTime();
    } else if (reservation->id != 0) {
      error = Lost(*reservation, std::move(error), may_commit);
    } else if (!may_commit && !pumped.delivered && error.diagnostic() == nullptr &&
               pgclient::IsConnectionError(error)) {
      // Its BEGIN went with it, and no COMMIT ever will: whatever it did is undone.
      error = mterrors::TemporarilyUnavailable();
    } else {
      error = Unexecuted(std::move(error));
    }
    (void)co_await Settle(reservation, nullptr, {});
    co_return ExecuteOutcome(std::unexpected(std::move(error)), nullptr);
  }
  if (!pumped.result && reservation->id == 0) {
    pumped.result = std::unexpected(RefusedByStandby(connection, std::move(pumped.result.error())));
  }
  if (pumped.unreplicated) reservation->lease->tainted = true;
  UpdateReasons(*reservation, wanted, !pumped.result);
  if (pumped.suspended) {
    reservation->pinned_portals.insert(statement.portal_name);
  } else if (pumped.result) {
    reservation->pinned_portals.erase(statement.portal_name);
  }
  if (!statement.portal_name.empty()) reservation->open_portals.insert(statement.portal_name);
  DeriveReasons(*reservation);
  if (wanted.recheck_advisory_locks()) co_await RecheckAdvisoryLocks(*reservation);
  const bool relabel = (reservation->ever & ~kLeavesNothing) == 0 && !asks_for_transaction && pumped.result;
  auto state = co_await Settle(reservation, relabel ? LabelOf(options) : nullptr, ApplicationNameOf(options));
  co_return ExecuteOutcome(std::move(pumped.result), std::move(state));
}

Awaitable<std::unique_ptr<::query::ReservedState>> Executor::Settle(std::shared_ptr<Reservation> reservation,
                                                                    connpool::LabelRef label,
                                                                    std::string application_name) {
  const bool registered = reservation->id != 0;
  if (reservation->killed || reservation->lease->connection->broken()) {
    if (registered && !reservation->killed) reservations_.Remove(*reservation);
    reservation->lease.Close();
  } else if (reservation->reasons == 0) {
    const bool reusable = label != nullptr || co_await CleanForPool(*reservation);
    if (registered && !reservation->killed) reservations_.Remove(*reservation);
    if (reusable && !reservation->killed) {
      if (label != nullptr) reservation->lease->application_name = std::move(application_name);
      reservation->lease.Release(label != nullptr ? label : pools_.clean_label());
    } else {
      reservation->lease.Close();
    }
  } else {
    if (!registered) reservations_.Add(reservation);
    auto state = StateOf(*reservation);
    Unclaim(*reservation);
    co_return state;
  }
  Unclaim(*reservation);
  co_return nullptr;
}

Awaitable<bool> Executor::CleanForPool(Reservation& reservation) {
  connpool::Backend& backend = *reservation.lease;
  if (backend.tainted || !backend.connection->is_idle()) co_return false;
  std::string sql;
  if ((reservation.ever & reason::kSessionAdvisoryLock) != 0)
    sql.append("SELECT pg_catalog.pg_advisory_unlock_all(); ");
  if ((reservation.ever & reason::kPortal) != 0) sql.append("CLOSE ALL; ");
  sql.append(connpool::kResetSql);
  auto reset = co_await pgclient::QuerySimple(*backend.connection, std::move(sql),
                                              {pools_.reactor().clock().After(kCleanUpTime), nullptr});
  backend.application_name.clear();
  co_return reset.has_value() && backend.connection->is_idle();
}

Awaitable<void> Executor::RecheckAdvisoryLocks(Reservation& reservation) {
  if ((reservation.reasons & reason::kSessionAdvisoryLock) == 0 || InTransaction(reservation)) co_return;
  auto held = co_await pgclient::QuerySimple(*reservation.lease->connection,
                                             "SELECT EXISTS(SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = "
                                             "'advisory' AND pid = pg_catalog.pg_backend_pid())",
                                             {pools_.reactor().clock().After(kCleanUpTime), nullptr});
  // In doubt the connection stays the session's.
  if (held && held->Scalar() == "f") reservation.reasons &= ~reason::kSessionAdvisoryLock;
}

Awaitable<ExecuteOutcome> Executor::StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                  CallScope scope, queryservice::ResultSink& sink) {
  const auto& options = request.options();
  if (options.has_execute_sql_prepared_statement()) {
    const auto& execute = options.execute_sql_prepared_statement();
    if (execute.force_unnamed_parse()) {
      UnnamedParseStatement statement(execute.prepared_statement());
      co_return co_await Run(statement, options, request.reservation_options(), scope, sink);
    }
    SqlExecuteStatement statement(pools_.statement_names(), execute.prepared_statement(), execute.sql_prefix(),
                                  execute.sql_suffix());
    co_return co_await Run(statement, options, request.reservation_options(), scope, sink);
  }
  SimpleStatement statement(request.query());
  co_return co_await Run(statement, options, request.reservation_options(), scope, sink);
}

Awaitable<ExecuteOutcome> Executor::PortalStreamExecute(const multipoolerservice::PortalStreamExecuteRequest& request,
                                                        CallScope scope, queryservice::ResultSink& sink) {
  const auto& portal_options = request.portal_options();
  PortalStatement statement(pools_.statement_names(), request.prepared_statement(), request.portal(),
                            {.max_rows = request.options().max_rows(),
                             .describe = portal_options.include_describe(),
                             .resume = portal_options.resume(),
                             .hold_sync = portal_options.hold_sync()});
  statement.hold_sync = portal_options.hold_sync();
  statement.portal_name = request.portal().name();
  if (request.options().max_rows() == 0 && !portal_options.hold_sync() && !portal_options.resume()) {
    co_return co_await Run(statement, request.options(), request.reservation_options(), scope, sink);
  }
  statement.passthrough = request.options().passthrough_row();
  co_return co_await RunReserved(statement, request.options(), request.reservation_options(), scope, sink);
}

Awaitable<Result<multipoolerservice::DescribeResponse>> Executor::Describe(
    const multipoolerservice::DescribeRequest& request, CallScope scope) {
  const auto& options = request.options();
  std::shared_ptr<Reservation> reservation;
  connpool::Lease borrowed;
  if (options.reserved_connection_id() != 0) {
    auto claimed = co_await Claim(options, scope);
    if (!claimed) co_return std::unexpected(std::move(claimed.error()));
    reservation = *claimed;
  } else {
    auto lease = co_await Borrow(options, scope);
    if (!lease) co_return std::unexpected(std::move(lease.error()));
    borrowed = std::move(*lease);
  }
  connpool::Backend& backend = reservation != nullptr ? *reservation->lease : *borrowed;
  DescribeStatement statement(pools_.statement_names(), request.prepared_statement(),
                              request.has_portal() ? &request.portal() : nullptr);
  statement.Send(backend, false);
  auto described = co_await ReadDescription(*backend.connection, scope);
  PumpResult progress;
  progress.parses_completed = described.parses_completed;
  statement.Finished(backend, progress);
  if (reservation != nullptr) {
    const bool lost = backend.connection->broken();
    if (lost && !described.response) {
      described.response = std::unexpected(Lost(*reservation, std::move(described.response.error()), false));
    }
    if (!lost) DeriveReasons(*reservation);
    (void)co_await Settle(reservation, nullptr, {});
  } else {
    if (!described.response) {
      described.response = std::unexpected(Unexecuted(std::move(described.response.error())));
    }
    borrowed.Release(nullptr);
  }
  co_return std::move(described.response);
}

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> Executor::GetAuthCredentials(
    const multipoolerservice::GetAuthCredentialsRequest& request, CallScope scope) {
  co_return co_await LookUpCredentials(pools_, request, BoundsOf(scope));
}

}  // namespace multigres::pooler::executor
