// One pooler's QueryService over its channel.
#pragma once

#include "common/queryservice/query_service.h"
#include "common/rpc/channel.h"
#include "services/multigateway/poolergateway/calls_in_flight.h"
#include "tools/async/task_group.h"

namespace multigres::gateway::poolergateway {

// Errors are translated (common/mterrors): PostgreSQL's own verbatim, 57014 for cancel and timeout, and
// PRE_EXECUTION_UNAVAILABLE for what was never sent, 08007 for what was given up (calls()). A statement whose scope
// ends is cancelled so that its answer still comes (Interruption).
class GrpcQueryService final : public queryservice::QueryService {
 public:
  // `channel` outlives it and all of its calls.
  explicit GrpcQueryService(rpc::Channel& channel) : channel_(channel), tasks_(channel.reactor().executor()) {}
  // After the channel was closed.
  Awaitable<void> Stop() { co_await tasks_.Join(); }

  // Its calls with target PRIMARY.
  CallsInFlight& calls() { return calls_; }

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

 private:
  rpc::Channel& channel_;
  CallsInFlight calls_;
  TaskGroup tasks_;
};

}  // namespace multigres::gateway::poolergateway
