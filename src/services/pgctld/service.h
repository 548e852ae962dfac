// pgctld's gRPC service: PostgresController on the wire.
#pragma once

#include "pgctldservice.rpc.h"
#include "services/pgctld/postgres_controller.h"

namespace multigres::pgctld {

// All calls must come on the controller's reactor.
class Service final : public ::pgctldservice::rpc::PgCtld {
 public:
  explicit Service(PostgresController& controller) : controller_(controller) {}

  using Context = ::multigres::rpc::ServerContext;
  Awaitable<Result<::pgctldservice::StartResponse>> Start(Context& context,
                                                          const ::pgctldservice::StartRequest& request) override;
  Awaitable<Result<::pgctldservice::StopResponse>> Stop(Context& context,
                                                        const ::pgctldservice::StopRequest& request) override;
  Awaitable<Result<::pgctldservice::RestartResponse>> Restart(Context& context,
                                                              const ::pgctldservice::RestartRequest& request) override;
  Awaitable<Result<::pgctldservice::ReloadConfigResponse>> ReloadConfig(
      Context& context, const ::pgctldservice::ReloadConfigRequest& request) override;
  Awaitable<Result<::pgctldservice::StatusResponse>> Status(Context& context,
                                                            const ::pgctldservice::StatusRequest& request) override;
  Awaitable<Result<::pgctldservice::VersionResponse>> Version(Context& context,
                                                              const ::pgctldservice::VersionRequest& request) override;
  Awaitable<Result<::pgctldservice::InitDataDirResponse>> InitDataDir(
      Context& context, const ::pgctldservice::InitDataDirRequest& request) override;
  Awaitable<Result<::pgctldservice::PgRewindResponse>> PgRewind(
      Context& context, const ::pgctldservice::PgRewindRequest& request) override;
  Awaitable<Result<::pgctldservice::StopRestoreCommandResponse>> StopRestoreCommand(
      Context& context, const ::pgctldservice::StopRestoreCommandRequest& request) override;

 private:
  PostgresController& controller_;
};

}  // namespace multigres::pgctld
