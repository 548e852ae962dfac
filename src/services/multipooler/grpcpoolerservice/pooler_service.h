// MultiPoolerService by gRPC: admission and validation, then the executor of the call's reactor.
#pragma once

#include <memory>
#include <set>

#include "clustermetadata.pb.h"
#include "multipoolerservice.rpc.h"
#include "services/multipooler/grpcpoolerservice/data_path.h"
#include "tools/metrics/metrics.h"

namespace multigres::pooler::grpcpoolerservice {

struct PoolerServiceConfig {
  clustermetadata::ID id;
  Duration health_heartbeat = std::chrono::seconds(30);
  // --health-stream-staleness-timeout: what gateways are told to wait for before they doubt this pooler.
  Duration health_staleness = std::chrono::seconds(90);
};

// Usable from every reactor of the data path. The board and the data path must outlive it.
class PoolerService final : public multipoolerservice::rpc::MultiPoolerService {
 public:
  PoolerService(PoolerServiceConfig config, PoolerDataPath& data_path, manager::ServingBoard& board, Logger logger);
  ~PoolerService() override;

  Awaitable<Result<multipoolerservice::ExecuteQueryResponse>> ExecuteQuery(
      rpc::ServerContext& context, const multipoolerservice::ExecuteQueryRequest& request) override;
  Awaitable<Result<>> StreamExecute(rpc::ServerContext& context,
                                    const multipoolerservice::StreamExecuteRequest& request,
                                    rpc::ServerWriter<multipoolerservice::StreamExecuteResponse>& writer) override;
  Awaitable<Result<>> PortalStreamExecute(
      rpc::ServerContext& context, const multipoolerservice::PortalStreamExecuteRequest& request,
      rpc::ServerWriter<multipoolerservice::PortalStreamExecuteResponse>& writer) override;
  Awaitable<Result<multipoolerservice::DescribeResponse>> Describe(
      rpc::ServerContext& context, const multipoolerservice::DescribeRequest& request) override;
  Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> GetAuthCredentials(
      rpc::ServerContext& context, const multipoolerservice::GetAuthCredentialsRequest& request) override;
  Awaitable<Result<>> CopyBidiExecute(rpc::ServerContext& context,
                                      rpc::ServerStream<multipoolerservice::CopyBidiExecuteRequest,
                                                        multipoolerservice::CopyBidiExecuteResponse>& stream) override;
  Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> ConcludeTransaction(
      rpc::ServerContext& context, const multipoolerservice::ConcludeTransactionRequest& request) override;
  Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> DiscardTempTables(
      rpc::ServerContext& context, const multipoolerservice::DiscardTempTablesRequest& request) override;
  Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> ReleaseReservedConnection(
      rpc::ServerContext& context, const multipoolerservice::ReleaseReservedConnectionRequest& request) override;
  Awaitable<Result<>> StreamPoolerHealth(
      rpc::ServerContext& context, const multipoolerservice::StreamPoolerHealthRequest& request,
      rpc::ServerWriter<multipoolerservice::StreamPoolerHealthResponse>& writer) override;

 private:
  Awaitable<Error> Refuse(rpc::ServerContext& context, const ::query::ExecuteOptions& options, Error error);
  Awaitable<void> Kill(rpc::ServerContext& context, const std::string& user, std::uint64_t id);
  template <class Response, class Request>
  Awaitable<Result<>> Stream(rpc::ServerContext& context, const Request& request, RequestKind kind,
                             rpc::ServerWriter<Response>& writer,
                             Awaitable<queryservice::ExecuteOutcome> (queryservice::QueryService::*method)(
                                 const Request&, queryservice::CallScope, queryservice::ResultSink&));
  template <class Response, class Request>
  Awaitable<Result<Response>> Unary(
      rpc::ServerContext& context, const Request& request, RequestKind kind,
      Awaitable<Result<Response>> (queryservice::QueryService::*method)(const Request&, queryservice::CallScope));
  Awaitable<Result<>> CopyFromStdin(queryservice::CopyStream& copy,
                                    rpc::ServerStream<multipoolerservice::CopyBidiExecuteRequest,
                                                      multipoolerservice::CopyBidiExecuteResponse>& stream);
  Result<> Admit(rpc::ServerContext& context, const ::query::Target& target, const ::query::ExecuteOptions& options,
                 RequestKind kind);
  multipoolerservice::StreamPoolerHealthResponse HealthSnapshot(const manager::ServingState& state) const;

  PoolerServiceConfig config_;
  PoolerDataPath& data_path_;
  manager::ServingBoard& board_;
  Logger logger_;
};

}  // namespace multigres::pooler::grpcpoolerservice
