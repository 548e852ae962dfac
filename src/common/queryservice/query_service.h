// The seam between routing and execution. The gateway's PoolerGateway implements it by gRPC, the pooler's Executor on
// PostgreSQL itself, and a fake in tests. Requests and replies are the contract's messages (multipoolerservice.proto).
#pragma once

#include <memory>
#include <optional>

#include "tools/async/awaitable.h"
#include "tools/async/cancel_token.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace query {
class QueryResultPayload;
class ReservedState;
}  // namespace query

namespace multipoolerservice {
class ConcludeTransactionRequest;
class ConcludeTransactionResponse;
class CopyBidiExecuteRequest;
class CopyBidiExecuteResponse;
class DescribeRequest;
class DescribeResponse;
class DiscardTempTablesRequest;
class DiscardTempTablesResponse;
class GetAuthCredentialsRequest;
class GetAuthCredentialsResponse;
class PortalStreamExecuteRequest;
class ReleaseReservedConnectionRequest;
class ReleaseReservedConnectionResponse;
class StreamExecuteRequest;
}  // namespace multipoolerservice

namespace multigres::queryservice {

// What bounds a call. Both end the statement on the backend too; a cancel wins over a simultaneous deadline.
struct CallScope {
  Deadline deadline;
  CancelToken* cancel = nullptr;  // must outlive the call
};

// Takes a statement's stream: row chunks (passthrough_block or rows), notices, parameter changes, the tag on the last
// chunk of a result set. The payload may be moved from.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  // Waits while the consumer is slow. An error ends the statement as a cancel does.
  virtual Awaitable<Result<>> OnPayload(query::QueryResultPayload& payload) = 0;
};

// How a statement ended. The reserved state is the pooler's word on the session's reservation and comes with errors
// too: null = the session holds none (any more).
struct ExecuteOutcome {
  Result<> result;
  std::unique_ptr<query::ReservedState> reserved_state;

  ExecuteOutcome();
  ExecuteOutcome(Result<> result, std::unique_ptr<query::ReservedState> state);
  ExecuteOutcome(ExecuteOutcome&&) noexcept;
  ExecuteOutcome& operator=(ExecuteOutcome&&) noexcept;
  ~ExecuteOutcome();
};

// A COPY in progress, in the phases of CopyBidiExecute. Destroying it aborts what is left of it.
class CopyStream {
 public:
  virtual ~CopyStream() = default;
  virtual Awaitable<Result<>> Send(const multipoolerservice::CopyBidiExecuteRequest& message) = 0;
  // False = the stream has ended (after RESULT). An ERROR frame arrives as a message first, then as the error.
  virtual Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) = 0;
};

// All calls of one session on one reactor. Errors carry PostgreSQL's diagnostic where it gave one, and say whether the
// statement may have run (Error::execution()).
class QueryService {
 public:
  virtual ~QueryService() = default;
  virtual Awaitable<ExecuteOutcome> StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                  CallScope scope, ResultSink& sink) = 0;
  virtual Awaitable<ExecuteOutcome> PortalStreamExecute(const multipoolerservice::PortalStreamExecuteRequest& request,
                                                        CallScope scope, ResultSink& sink) = 0;
  virtual Awaitable<Result<multipoolerservice::DescribeResponse>> Describe(
      const multipoolerservice::DescribeRequest& request, CallScope scope) = 0;
  // `initiate` is the INITIATE message; the stream's first Receive() gives READY (or ERROR).
  virtual Awaitable<Result<std::unique_ptr<CopyStream>>> CopyBidiExecute(
      const multipoolerservice::CopyBidiExecuteRequest& initiate, CallScope scope) = 0;
  virtual Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> ConcludeTransaction(
      const multipoolerservice::ConcludeTransactionRequest& request, CallScope scope) = 0;
  virtual Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> DiscardTempTables(
      const multipoolerservice::DiscardTempTablesRequest& request, CallScope scope) = 0;
  virtual Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> ReleaseReservedConnection(
      const multipoolerservice::ReleaseReservedConnectionRequest& request, CallScope scope) = 0;
  virtual Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> GetAuthCredentials(
      const multipoolerservice::GetAuthCredentialsRequest& request, CallScope scope) = 0;
};

}  // namespace multigres::queryservice
