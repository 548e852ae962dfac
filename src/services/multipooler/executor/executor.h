// Runs statements on PostgreSQL: the QueryService of one reactor of a pooler.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/queryservice/query_service.h"
#include "services/multipooler/connpool/pool_set.h"
#include "services/multipooler/executor/reservation.h"
#include "tools/log/logger.h"

namespace query {
class ExecuteOptions;
class ReservationOptions;
}  // namespace query

namespace multigres::pooler::executor {

struct ExecutorConfig {
  // --connpool-user-reserved-inactivity-timeout; 0 = never.
  Duration reserved_inactivity_timeout = std::chrono::seconds(30);
};

// Everything is checked and admitted by the caller (grpcpoolerservice); here it is run. Calls with a
// reserved_connection_id must come to the reactor that made it (ReservationTable::ReactorIndexOf).
//
// A statement without a reservation borrows a connection, runs and gives it back. With reservation reasons, or a row
// limit, the connection stays the session's until no reason is left; its number and reasons are in the outcome's state.
class Executor final : public queryservice::QueryService {
 public:
  Executor(connpool::PoolSet& pools, std::uint8_t reactor_index, ExecutorConfig config, Logger logger);
  ~Executor() override;

  void Start();
  Awaitable<void> Stop();

  Awaitable<queryservice::ExecuteOutcome> StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                        queryservice::CallScope scope,
                                                        queryservice::ResultSink& sink) override;
  Awaitable<queryservice::ExecuteOutcome> PortalStreamExecute(
      const multipoolerservice::PortalStreamExecuteRequest& request, queryservice::CallScope scope,
      queryservice::ResultSink& sink) override;
  Awaitable<Result<multipoolerservice::DescribeResponse>> Describe(const multipoolerservice::DescribeRequest& request,
                                                                   queryservice::CallScope scope) override;
  Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> CopyBidiExecute(
      const multipoolerservice::CopyBidiExecuteRequest& initiate, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> ConcludeTransaction(
      const multipoolerservice::ConcludeTransactionRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> DiscardTempTables(
      const multipoolerservice::DiscardTempTablesRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> ReleaseReservedConnection(
      const multipoolerservice::ReleaseReservedConnectionRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> GetAuthCredentials(
      const multipoolerservice::GetAuthCredentialsRequest& request, queryservice::CallScope scope) override;

  ReservationTable& reservations() { return reservations_; }
  connpool::PoolSet& pools() { return pools_; }

  // What one call runs: how its statement goes out and what its reply says. Defined in statement.h.
  struct Statement;

 private:
  friend class CopySession;

  // A borrowed connection in the request's settings. Tried anew, a few times, when the connection turns out to be gone.
  Awaitable<Result<connpool::Lease>> Borrow(const ::query::ExecuteOptions& options, queryservice::CallScope scope);
  // The session's connection, marked busy: an existing one, or a new one that isn't in the table yet.
  Awaitable<Result<std::shared_ptr<Reservation>>> Claim(const ::query::ExecuteOptions& options,
                                                        queryservice::CallScope scope);
  void Unclaim(Reservation& reservation);

  Awaitable<queryservice::ExecuteOutcome> Run(Statement& statement, const ::query::ExecuteOptions& options,
                                              const ::query::ReservationOptions& reservation,
                                              queryservice::CallScope scope, queryservice::ResultSink& sink);
  Awaitable<queryservice::ExecuteOutcome> RunPooled(Statement& statement, const ::query::ExecuteOptions& options,
                                                    queryservice::CallScope scope, queryservice::ResultSink& sink);
  Awaitable<queryservice::ExecuteOutcome> RunReserved(Statement& statement, const ::query::ExecuteOptions& options,
                                                      const ::query::ReservationOptions& reservation,
                                                      queryservice::CallScope scope, queryservice::ResultSink& sink);
  // After an operation on a reservation: drops it if its connection broke or no reason is left. The state to report;
  // null if it is gone.
  Awaitable<std::unique_ptr<::query::ReservedState>> Settle(std::shared_ptr<Reservation> reservation,
                                                            connpool::LabelRef label, std::string application_name);
  Awaitable<bool> CleanForPool(Reservation& reservation);
  Awaitable<void> RecheckAdvisoryLocks(Reservation& reservation);
  Awaitable<void> WatchInactivity();

  connpool::LabelRef LabelOf(const ::query::ExecuteOptions& options);
  std::unique_ptr<::query::ReservedState> StateOf(const Reservation& reservation) const;
  // What the end of a session's connection means for the statement on it. `may_commit`: outside a transaction, or
  // COMMIT itself.
  Error Lost(const Reservation& reservation, Error error, bool may_commit) const;

  connpool::PoolSet& pools_;
  ExecutorConfig config_;
  Logger logger_;
  ReservationTable reservations_;
  TaskGroup tasks_;
};

// The value of application_name among the settings; empty if there is none.
std::string ApplicationNameOf(const ::query::ExecuteOptions& options);

}  // namespace multigres::pooler::executor
