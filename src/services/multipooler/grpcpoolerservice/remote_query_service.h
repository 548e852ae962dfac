// A QueryService on another reactor: for a session whose connection was redialled to a reactor that its reservation
// doesn't live on.
#pragma once

#include "common/queryservice/query_service.h"
#include "tools/async/reactor.h"

namespace multigres::pooler::grpcpoolerservice {

// Each call is run on `there`, and its payloads and result come back to `here`. Costs messages, so it is for calls that
// can't be anywhere else. Requests must stay as they are until the call is over.
class RemoteQueryService final : public queryservice::QueryService {
 public:
  RemoteQueryService(Reactor& here, Reactor& there, queryservice::QueryService& service)
      : here_(here), there_(there), service_(service) {}

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
  Reactor& here_;
  Reactor& there_;
  queryservice::QueryService& service_;
};

}  // namespace multigres::pooler::grpcpoolerservice
