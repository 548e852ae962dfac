// The calls that end something on a session's connection: a transaction, its temporary tables, the reservation itself.
#include "common/mterrors/conditions.h"
#include "common/mterrors/wire.h"
#include "common/pgclient/query.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/executor.h"
#include "services/multipooler/executor/interruption.h"
#include "services/multipooler/executor/result_pump.h"

namespace multigres::pooler::executor {

using multipoolerservice::ConcludeTransactionRequest;
using multipoolerservice::ConcludeTransactionResponse;
using queryservice::CallScope;

namespace {

constexpr Duration kCleanUpTime = std::chrono::seconds(5);

std::string StatementOf(const ConcludeTransactionRequest& request) {
  std::string sql = request.conclusion() == multipoolerservice::TRANSACTION_CONCLUSION_COMMIT ? "COMMIT" : "ROLLBACK";
  if (request.chain()) sql.append(" AND CHAIN");
  return sql;
}

bool IsRollback(const ConcludeTransactionRequest& request) {
  return request.conclusion() == multipoolerservice::TRANSACTION_CONCLUSION_ROLLBACK;
}

void UnpinPortals(Reservation& reservation, const ConcludeTransactionRequest& request) {
  if (request.release_all_portals()) reservation.pinned_portals.clear();
  for (const auto& name : request.release_portal_names()) reservation.pinned_portals.erase(name);
  reservation.open_portals.clear();
}

// The settings that the connection wears after the transaction: which map counts depends on how it really ended.
struct Aftermath {
  connpool::LabelRef label;  // null = unknown: the connection can't be pooled as it is
  std::string application_name;
};

bool LeavesNothing(const Reservation& reservation) {
  return (reservation.ever & ~(reason::kTransaction | reason::kCopy)) == 0;
}

}  // namespace

Awaitable<Result<ConcludeTransactionResponse>> Executor::ConcludeTransaction(const ConcludeTransactionRequest& request,
                                                                             CallScope scope) {
  const auto& options = request.options();
  if (options.reserved_connection_id() == 0) {
    co_return Fail(Code::kInvalidArgument, "ConcludeTransaction needs a reserved connection");
  }
  auto claimed = co_await Claim(options, scope);
  if (!claimed) co_return std::unexpected(std::move(claimed.error()));
  const auto reservation = *claimed;
  auto& connection = *reservation->lease->connection;

  CollectingSink sink;
  PumpResult pumped;
  const bool was_open = (reservation->reasons & reason::kTransaction) != 0;
  if (request.conclusion() == multipoolerservice::TRANSACTION_CONCLUSION_SYNC) {
    connection.SendSync();
    reservation->pipeline_open = false;
    pumped = co_await PumpResults(connection, scope, sink, {});
  } else if (!was_open && IsRollback(request)) {
    pumped.tag = "ROLLBACK";
  } else {
    if (std::exchange(reservation->pipeline_open, false)) connection.SendSync();
    connection.SendQuery(StatementOf(request));
    pumped = co_await PumpResults(connection, scope, sink, {});
  }
  if (connection.broken()) {
    auto error = pumped.result ? Error(Code::kUnavailable, "connection closed") : std::move(pumped.result.error());
    // A COMMIT that was sent may have been done.
    const bool commits = was_open && !IsRollback(request);
    error = pumped.unanswered && commits ? NotCancelledInTime() : Lost(*reservation, std::move(error), commits);
    (void)co_await Settle(reservation, nullptr, {});
    co_return std::unexpected(std::move(error));
  }

  // Committed, if not for certain: what it wears now isn't what the session will say.
  if (pumped.unreplicated) reservation->lease->tainted = true;
  const bool rolled_back = !pumped.result || pumped.tag == "ROLLBACK";
  if (rolled_back) UnpinPortals(*reservation, request);
  if (reservation->pinned_portals.empty()) reservation->reasons &= ~reason::kPortal;
  if (connection.transaction_status() == pgwire::TransactionStatus::kIdle)
    reservation->reasons &= ~reason::kTransaction;

  Aftermath aftermath;
  const bool may_relabel = LeavesNothing(*reservation);
  if (may_relabel && !rolled_back) {
    aftermath = {LabelOf(options), ApplicationNameOf(options)};
  } else if (may_relabel && request.has_rollback_session_settings()) {
    ::query::ExecuteOptions before;
    *before.mutable_session_settings() = request.rollback_session_settings().vars();
    aftermath = {LabelOf(before), ApplicationNameOf(before)};
  } else if (may_relabel) {
    // Nobody knows what it wears now.
    reservation->lease->tainted = true;
  }
  auto state = co_await Settle(reservation, std::move(aftermath.label), std::move(aftermath.application_name));
  if (!pumped.result) co_return std::unexpected(mterrors::ToWire(pumped.result.error(), state.get()));
  ConcludeTransactionResponse response;
  response.set_allocated_result(sink.Take().release());
  response.mutable_result()->set_command_tag(pumped.tag);
  if (state != nullptr) response.set_allocated_reserved_state(state.release());
  co_return response;
}

Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> Executor::DiscardTempTables(
    const multipoolerservice::DiscardTempTablesRequest& request, CallScope scope) {
  auto claimed = co_await Claim(request.options(), scope);
  if (!claimed) co_return std::unexpected(std::move(claimed.error()));
  const auto reservation = *claimed;
  auto& connection = *reservation->lease->connection;
  CollectingSink sink;
  connection.SendQuery("DISCARD TEMP");
  auto pumped = co_await PumpResults(connection, scope, sink, {});
  if (pumped.result) reservation->reasons &= ~reason::kTempTable;
  const bool lost = connection.broken();
  auto state = co_await Settle(reservation, nullptr, {});
  if (!pumped.result) {
    auto error = lost ? Lost(*reservation, std::move(pumped.result.error()), false) : std::move(pumped.result.error());
    co_return std::unexpected(mterrors::ToWire(error, state.get()));
  }
  multipoolerservice::DiscardTempTablesResponse response;
  response.set_allocated_result(sink.Take().release());
  response.mutable_result()->set_command_tag("DISCARD TEMP");
  if (state != nullptr) response.set_allocated_reserved_state(state.release());
  co_return response;
}

Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> Executor::ReleaseReservedConnection(
    const multipoolerservice::ReleaseReservedConnectionRequest& request, CallScope scope) {
  multipoolerservice::ReleaseReservedConnectionResponse response;
  const auto& options = request.options();
  const auto reservation = reservations_.Find(options.user(), options.reserved_connection_id());
  if (reservation == nullptr) co_return response;
  // The session may be leaving in the midst of a statement, whose cancellation is on its way.
  while (reservation->busy) {
    if (!co_await reservation->freed.WaitUntil(pools_.reactor().clock(), scope.deadline)) {
      reservations_.Kill(*reservation);
      co_return response;
    }
  }
  if (reservation->id == 0 || reservation->killed || reservations_.Find(options.user(), reservation->id) == nullptr) {
    co_return response;
  }
  reservation->busy = true;
  auto& connection = *reservation->lease->connection;
  const pgclient::Bounds bounds{scope.deadline.Earlier(pools_.reactor().clock().After(kCleanUpTime)), nullptr};
  if (std::exchange(reservation->pipeline_open, false)) {
    connection.SendSync();
    if (auto drained = co_await pgclient::DrainToSync(connection, bounds); !drained) connection.Close();
  }
  if (!connection.broken() && connection.transaction_status() != pgwire::TransactionStatus::kIdle) {
    // An error closes the connection below: it isn't idle then.
    (void)co_await pgclient::QuerySimple(connection, "ROLLBACK", bounds);
  }
  const bool sticky = request.keep_sticky_reservations() && (reservation->reasons & reason::kSetSeed) != 0;
  if (sticky && !connection.broken() && !reservation->lease->tainted && co_await CleanForPool(*reservation)) {
    reservation->reasons = reason::kSetSeed;
    reservation->ever = reason::kSetSeed;
    reservation->pinned_portals.clear();
    // It is the session's still, in what the session has set.
    auto dressed = co_await connpool::Dress(*reservation->lease, LabelOf(options), pools_.clean_label(),
                                            ApplicationNameOf(options), bounds);
    if (!dressed) connection.Close();
  } else {
    reservation->reasons = 0;
  }
  reservation->pinned_portals.clear();
  const bool relabel = LeavesNothing(*reservation) && options.session_settings_size() > 0;
  auto state = co_await Settle(reservation, relabel ? LabelOf(options) : nullptr, ApplicationNameOf(options));
  if (state != nullptr) response.set_allocated_reserved_state(state.release());
  co_return response;
}

}  // namespace multigres::pooler::executor
