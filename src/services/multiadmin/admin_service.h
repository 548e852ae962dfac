// multiadmin.MultiAdminService: the topology as it is stored, and calls passed on to one pooler.
#pragma once

#include <string>

#include "common/rpc/channel.h"
#include "common/topoclient/fwd.h"
#include "common/topoclient/store.h"
#include "multiadminservice.rpc.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"

namespace multigres::admin {

class PoolerConnection;

// Lives on the store's reactor. Methods that aren't overridden answer UNIMPLEMENTED.
class AdminService final : public ::multiadmin::rpc::MultiAdminService {
 public:
  // How poolers are reached: `pooler_channel`. The store must outlive the service.
  AdminService(topo::Store& store, rpc::ChannelOptions pooler_channel, Logger logger);
  // Await before destruction, after the last call.
  Awaitable<void> Stop();

  // NOT_FOUND `cell 'x' not found`, `database 'x' not found`.
  Awaitable<Result<::multiadmin::GetCellResponse>> GetCell(rpc::ServerContext& context,
                                                           const ::multiadmin::GetCellRequest& request) override;
  Awaitable<Result<::multiadmin::GetDatabaseResponse>> GetDatabase(
      rpc::ServerContext& context, const ::multiadmin::GetDatabaseRequest& request) override;
  Awaitable<Result<::multiadmin::GetCellNamesResponse>> GetCellNames(
      rpc::ServerContext& context, const ::multiadmin::GetCellNamesRequest& request) override;
  Awaitable<Result<::multiadmin::GetDatabaseNamesResponse>> GetDatabaseNames(
      rpc::ServerContext& context, const ::multiadmin::GetDatabaseNamesRequest& request) override;
  // A cell that can't be read fails the answer: a list is complete or there is none.
  Awaitable<Result<::multiadmin::GetGatewaysResponse>> GetGateways(
      rpc::ServerContext& context, const ::multiadmin::GetGatewaysRequest& request) override;
  Awaitable<Result<::multiadmin::GetPoolersResponse>> GetPoolers(
      rpc::ServerContext& context, const ::multiadmin::GetPoolersRequest& request) override;
  Awaitable<Result<::multiadmin::GetOrchsResponse>> GetOrchs(rpc::ServerContext& context,
                                                             const ::multiadmin::GetOrchsRequest& request) override;
  // Passed on to the pooler: NOT_FOUND if it isn't registered, UNAVAILABLE if it can't be reached, else its own error.
  Awaitable<Result<::multiadmin::GetPoolerStatusResponse>> GetPoolerStatus(
      rpc::ServerContext& context, const ::multiadmin::GetPoolerStatusRequest& request) override;
  Awaitable<Result<::multiadmin::SetPostgresRestartsEnabledResponse>> SetPostgresRestartsEnabled(
      rpc::ServerContext& context, const ::multiadmin::SetPostgresRestartsEnabledRequest& request) override;
  // Asks the shard's leader, by its routing state of the highest rule, to step down, and returns once it has: the
  // orchestrators then appoint another. Waits first while a promise of an unfinished appointment, younger than 4 s,
  // would make them hold back. NOT_FOUND without a leader, FAILED_PRECONDITION without another pooler that could
  // follow, else the pooler's own error.
  Awaitable<Result<::multiadmin::SwitchPrimaryResponse>> SwitchPrimary(
      rpc::ServerContext& context, const ::multiadmin::SwitchPrimaryRequest& request) override;

 private:
  // A connection of its own for the calls of one request: a stale address or a pooler that has gone leaves nothing
  // behind that goes on dialling.
  Awaitable<Result<std::unique_ptr<PoolerConnection>>> ReachPooler(rpc::ServerContext& context, clustermetadata::ID id);
  rpc::CallOptions PoolerCall(rpc::ServerContext& context) const;
  Awaitable<Result<clustermetadata::ID>> FindLeader(rpc::ServerContext& context, clustermetadata::ShardKey shard);
  // Until orchestrators no longer hold back for an appointment that this pooler has promised to.
  Awaitable<Result<>> WaitOutPromise(rpc::ServerContext& context, PoolerConnection& leader);

  topo::Store& store_;
  rpc::ChannelOptions pooler_channel_;
  Logger logger_;
  TaskGroup tasks_;  // channels that close
};

}  // namespace multigres::admin
