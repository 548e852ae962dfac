#include "services/pgctld/service.h"

#include "pgctldservice.pb.h"

namespace multigres::pgctld {

namespace pb = ::pgctldservice;

namespace {

constexpr std::string_view kNoBackups = "backups are not built in";

Duration FromProto(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

Result<std::uint16_t> PortOf(std::int32_t port) {
  if (port < 0 || port > 65535) return Fail(Code::kInvalidArgument, fmt::format("{} is not a port", port));
  return static_cast<std::uint16_t>(port);
}

pb::ServerStatus StateOnWire(ServerState state) {
  switch (state) {
    case ServerState::kNotInitialized:
      return pb::NOT_INITIALIZED;
    case ServerState::kStopped:
      return pb::STOPPED;
    case ServerState::kStarting:
      return pb::STARTING;
    case ServerState::kRunning:
      return pb::RUNNING;
    case ServerState::kStopping:
      return pb::STOPPING;
  }
  return pb::UNKNOWN;
}

}  // namespace

Awaitable<Result<pb::StartResponse>> Service::Start(Context&, const pb::StartRequest& request) {
  StartRequest start;
  auto port = PortOf(request.port());
  if (!port) co_return std::unexpected(std::move(port.error()));
  start.port = *port;
  start.extra_args.assign(request.extra_args().begin(), request.extra_args().end());
  start.allow_crash_recovery = request.allow_crash_recovery();
  start.as_primary = request.as_primary();
  start.suspected_divergence = request.suspected_divergence();
  auto outcome = co_await controller_.Start(std::move(start));
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  pb::StartResponse response;
  response.set_pid(outcome->pid);
  response.set_message(outcome->message);
  response.set_crash_recovery_ran(outcome->crash_recovery_ran);
  co_return response;
}

Awaitable<Result<pb::StopResponse>> Service::Stop(Context&, const pb::StopRequest& request) {
  auto mode = ParseStopMode(request.mode());
  if (!mode) co_return std::unexpected(std::move(mode.error()));
  auto message = co_await controller_.Stop(*mode, FromProto(request.timeout()));
  if (!message) co_return std::unexpected(std::move(message.error()));
  pb::StopResponse response;
  response.set_message(*message);
  co_return response;
}

Awaitable<Result<pb::RestartResponse>> Service::Restart(Context&, const pb::RestartRequest& request) {
  RestartRequest restart;
  auto mode = ParseStopMode(request.mode());
  if (!mode) co_return std::unexpected(std::move(mode.error()));
  auto port = PortOf(request.port());
  if (!port) co_return std::unexpected(std::move(port.error()));
  restart.mode = *mode;
  restart.timeout = FromProto(request.timeout());
  restart.port = *port;
  restart.extra_args.assign(request.extra_args().begin(), request.extra_args().end());
  auto outcome = co_await controller_.Restart(std::move(restart));
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  pb::RestartResponse response;
  response.set_pid(outcome->pid);
  response.set_message(outcome->message);
  co_return response;
}

Awaitable<Result<pb::ReloadConfigResponse>> Service::ReloadConfig(Context&, const pb::ReloadConfigRequest&) {
  auto message = co_await controller_.ReloadConfig();
  if (!message) co_return std::unexpected(std::move(message.error()));
  pb::ReloadConfigResponse response;
  response.set_message(*message);
  co_return response;
}

Awaitable<Result<pb::StatusResponse>> Service::Status(Context&, const pb::StatusRequest&) {
  auto status = co_await controller_.Status();
  if (!status) co_return std::unexpected(std::move(status.error()));
  pb::StatusResponse response;
  response.set_status(StateOnWire(status->state));
  response.set_pid(status->pid);
  response.set_version(status->version);
  response.mutable_uptime()->set_seconds(std::chrono::duration_cast<std::chrono::seconds>(status->uptime).count());
  response.set_data_dir(controller_.options().data_dir);
  response.set_port(status->port);
  response.set_host(status->host);
  response.set_ready(status->ready);
  response.set_message(status->message);
  response.mutable_pgbackrest_status()->set_error_message(std::string(kNoBackups));
  co_return response;
}

Awaitable<Result<pb::VersionResponse>> Service::Version(Context&, const pb::VersionRequest& request) {
  auto port = PortOf(request.port());
  if (!port) co_return std::unexpected(std::move(port.error()));
  auto version = co_await controller_.Version(request.host(), *port, request.database());
  if (!version) co_return std::unexpected(std::move(version.error()));
  pb::VersionResponse response;
  response.set_version(*version);
  response.set_message("version of the running server");
  co_return response;
}

Awaitable<Result<pb::InitDataDirResponse>> Service::InitDataDir(Context&, const pb::InitDataDirRequest& request) {
  InitRequest init;
  if (!request.auth_local().empty()) init.auth_local = request.auth_local();
  if (!request.auth_host().empty()) init.auth_host = request.auth_host();
  init.extra_args.assign(request.extra_args().begin(), request.extra_args().end());
  auto message = co_await controller_.InitDataDir(std::move(init));
  if (!message) co_return std::unexpected(std::move(message.error()));
  pb::InitDataDirResponse response;
  response.set_message(*message);
  co_return response;
}

Awaitable<Result<pb::PgRewindResponse>> Service::PgRewind(Context&, const pb::PgRewindRequest& request) {
  RewindRequest rewind;
  auto port = PortOf(request.source_port());
  if (!port) co_return std::unexpected(std::move(port.error()));
  if (request.source_host().empty() || *port == 0) {
    co_return Fail(Code::kInvalidArgument, "source_host and source_port are required");
  }
  rewind.source_host = request.source_host();
  rewind.source_port = *port;
  rewind.dry_run = request.dry_run();
  rewind.extra_args.assign(request.extra_args().begin(), request.extra_args().end());
  rewind.application_name = request.application_name();
  auto output = co_await controller_.Rewind(std::move(rewind));
  if (!output) co_return std::unexpected(std::move(output.error()));
  pb::PgRewindResponse response;
  response.set_message(request.dry_run() ? "dry run completed" : "rewind completed");
  response.set_output(*output);
  co_return response;
}

Awaitable<Result<pb::StopRestoreCommandResponse>> Service::StopRestoreCommand(Context&,
                                                                              const pb::StopRestoreCommandRequest&) {
  auto outcome = co_await controller_.StopRestoreCommand();
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  pb::StopRestoreCommandResponse response;
  response.set_found(outcome->found);
  response.set_killed(outcome->killed);
  response.set_message(outcome->message);
  co_return response;
}

}  // namespace multigres::pgctld
