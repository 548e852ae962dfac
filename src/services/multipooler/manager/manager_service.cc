#include "services/multipooler/manager/manager_service.h"

#include "services/multipooler/manager/on_manager.h"

namespace multigres::pooler::manager {

namespace data = ::multipoolermanagerdata;

namespace {

Duration FromProto(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

std::unexpected<Error> NoBackups() {
  return Fail(Code::kUnimplemented, "backups are not built in");
}

}  // namespace

Awaitable<Result<data::WaitForLSNResponse>> ManagerService::WaitForLSN(Context& context,
                                                                       const data::WaitForLSNRequest& request) {
  using Response = data::WaitForLSNResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(
      context, manager_, [request, deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
        auto done = co_await manager.WaitForLsn(request.target_lsn(), FromProto(request.timeout()), deadline);
        if (!done) co_return std::unexpected(std::move(done.error()));
        co_return Response();
      });
}

Awaitable<Result<data::StartReplicationResponse>> ManagerService::StartReplication(
    Context& context, const data::StartReplicationRequest&) {
  using Response = data::StartReplicationResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(context, manager_,
                                         [deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
                                           auto done = co_await manager.StartReplication(deadline);
                                           if (!done) co_return std::unexpected(std::move(done.error()));
                                           co_return Response();
                                         });
}

Awaitable<Result<data::StopReplicationResponse>> ManagerService::StopReplication(
    Context& context, const data::StopReplicationRequest& request) {
  using Response = data::StopReplicationResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(
      context, manager_, [request, deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
        auto status = co_await manager.StopReplication(request.mode(), request.wait(), deadline);
        if (!status) co_return std::unexpected(std::move(status.error()));
        Response response;
        *response.mutable_status() = std::move(*status);
        co_return response;
      });
}

Awaitable<Result<data::StatusResponse>> ManagerService::Status(Context& context, const data::StatusRequest&) {
  using Response = data::StatusResponse;
  co_return co_await OnManager<Response>(context, manager_, [](PoolerManager& manager) -> Awaitable<Result<Response>> {
    auto snapshot = co_await manager.FreshStatus();
    co_return *snapshot;
  });
}

Awaitable<Result<data::BackupResponse>> ManagerService::Backup(Context&, const data::BackupRequest&) {
  co_return NoBackups();
}

Awaitable<Result<data::GetBackupsResponse>> ManagerService::GetBackups(Context&, const data::GetBackupsRequest&) {
  co_return NoBackups();
}

Awaitable<Result<data::GetBackupByJobIdResponse>> ManagerService::GetBackupByJobId(
    Context&, const data::GetBackupByJobIdRequest&) {
  co_return NoBackups();
}

Awaitable<Result<data::ExpireBackupsResponse>> ManagerService::ExpireBackups(Context&,
                                                                             const data::ExpireBackupsRequest&) {
  co_return NoBackups();
}

Awaitable<Result<data::VerifyBackupsResponse>> ManagerService::VerifyBackups(Context&,
                                                                             const data::VerifyBackupsRequest&) {
  co_return NoBackups();
}

Awaitable<Result<data::ResignLeadershipResponse>> ManagerService::ResignLeadership(
    Context& context, const data::ResignLeadershipRequest&) {
  using Response = data::ResignLeadershipResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(context, manager_,
                                         [deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
                                           auto lsn = co_await manager.agent().ResignLeadership(deadline);
                                           if (!lsn) co_return std::unexpected(std::move(lsn.error()));
                                           Response response;
                                           response.set_flush_lsn(*lsn);
                                           co_return response;
                                         });
}

Awaitable<Result<data::SetPostgresRestartsEnabledResponse>> ManagerService::SetPostgresRestartsEnabled(
    Context& context, const data::SetPostgresRestartsEnabledRequest& request) {
  using Response = data::SetPostgresRestartsEnabledResponse;
  const bool enabled = request.enabled();
  co_return co_await OnManager<Response>(context, manager_,
                                         [enabled](PoolerManager& manager) -> Awaitable<Result<Response>> {
                                           manager.SetPostgresRestartsEnabled(enabled);
                                           co_return Response();
                                         });
}

Awaitable<Result<data::ReconcileFollowersResponse>> ManagerService::ReconcileFollowers(
    Context&, const data::ReconcileFollowersRequest&) {
  co_return Fail(Code::kUnimplemented, "slot-based replication is not built in");
}

Awaitable<Result<data::ReloadConfigResponse>> ManagerService::ReloadConfig(Context& context,
                                                                           const data::ReloadConfigRequest& request) {
  using Response = data::ReloadConfigResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(context, manager_,
                                         [request, deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
                                           co_return co_await manager.ReloadConfig(request, deadline);
                                         });
}

}  // namespace multigres::pooler::manager
