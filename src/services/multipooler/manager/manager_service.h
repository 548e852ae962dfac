// The gRPC service MultiPoolerManager: a pooler's status, its health stream, and what an orchestrator asks of it.
#pragma once

#include "multipoolermanagerservice.rpc.h"
#include "services/multipooler/manager/manager.h"

namespace multigres::pooler::manager {

// Usable from every reactor: calls hop to the manager's. Backups are not built in; their RPCs say so.
class ManagerService final : public ::multipoolermanager::rpc::MultiPoolerManager {
 public:
  explicit ManagerService(PoolerManager& manager) : manager_(manager) {}

  using Context = ::multigres::rpc::ServerContext;
  Awaitable<Result<::multipoolermanagerdata::WaitForLSNResponse>> WaitForLSN(
      Context& context, const ::multipoolermanagerdata::WaitForLSNRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::StartReplicationResponse>> StartReplication(
      Context& context, const ::multipoolermanagerdata::StartReplicationRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::StopReplicationResponse>> StopReplication(
      Context& context, const ::multipoolermanagerdata::StopReplicationRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> Status(
      Context& context, const ::multipoolermanagerdata::StatusRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::BackupResponse>> Backup(
      Context& context, const ::multipoolermanagerdata::BackupRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::GetBackupsResponse>> GetBackups(
      Context& context, const ::multipoolermanagerdata::GetBackupsRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::GetBackupByJobIdResponse>> GetBackupByJobId(
      Context& context, const ::multipoolermanagerdata::GetBackupByJobIdRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::ExpireBackupsResponse>> ExpireBackups(
      Context& context, const ::multipoolermanagerdata::ExpireBackupsRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::VerifyBackupsResponse>> VerifyBackups(
      Context& context, const ::multipoolermanagerdata::VerifyBackupsRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::ResignLeadershipResponse>> ResignLeadership(
      Context& context, const ::multipoolermanagerdata::ResignLeadershipRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::SetPostgresRestartsEnabledResponse>> SetPostgresRestartsEnabled(
      Context& context, const ::multipoolermanagerdata::SetPostgresRestartsEnabledRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::ReconcileFollowersResponse>> ReconcileFollowers(
      Context& context, const ::multipoolermanagerdata::ReconcileFollowersRequest& request) override;
  Awaitable<Result<::multipoolermanagerdata::ReloadConfigResponse>> ReloadConfig(
      Context& context, const ::multipoolermanagerdata::ReloadConfigRequest& request) override;
  using HealthStream = ::multigres::rpc::ServerStream<::multipoolermanagerdata::ManagerHealthStreamClientMessage,
                                                      ::multipoolermanagerdata::ManagerHealthStreamResponse>;
  Awaitable<Result<>> ManagerHealthStream(Context& context, HealthStream& stream) override;

 private:
  PoolerManager& manager_;
};

}  // namespace multigres::pooler::manager
