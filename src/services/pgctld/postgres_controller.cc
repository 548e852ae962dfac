#include "services/pgctld/postgres_controller.h"

#include <sys/un.h>

#include <charconv>

#include "services/pgctld/psql.h"
#include "services/pgctld/readiness.h"
#include "services/pgctld/server_config.h"
#include "tools/fs/file.h"
#include "tools/process/process.h"

namespace multigres::pgctld {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kLockWait = seconds(60);
constexpr Duration kProbeTimeout = seconds(1);
constexpr Duration kCheckpointTimeout = seconds(10);
constexpr Duration kInitTimeout = minutes(10);
constexpr Duration kRewindTimeout = minutes(30);
constexpr Duration kRestoreCommandGrace = seconds(2);
// pg_controldata's word for a standby that wasn't shut down.
constexpr std::string_view kCrashedStandby = "in archive recovery";

// .pgpass (manual, "The Password File"): ':' and '\' are escaped.
std::string PassfileText(const PostgresOptions& options) {
  const auto escape = [](std::string_view text) {
    std::string escaped;
    for (const char c : text) {
      if (c == ':' || c == '\\') escaped.push_back('\\');
      escaped.push_back(c);
    }
    return escaped;
  };
  return fmt::format("*:*:*:{}:{}\n", escape(options.user), escape(options.password));
}

}  // namespace

PostgresController::PostgresController(Reactor& reactor, PostgresOptions options, Logger logger)
    : reactor_(reactor), options_(std::move(options)), directory_(options_.data_dir), logger_(std::move(logger)) {}

Awaitable<Result<>> PostgresController::Prepare() {
  const std::string socket_path = fmt::format("{}/.s.PGSQL.{}", options_.socket_dir(), options_.port);
  if (socket_path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    co_return Fail(Code::kInvalidArgument,
                   fmt::format("the socket path {} is longer than {} bytes: choose a shorter --pooler-dir", socket_path,
                               sizeof(sockaddr_un{}.sun_path) - 1));
  }
  for (const std::string& folder : {options_.pooler_dir, options_.socket_dir()}) {
    if (auto made = fs::MakeDirectories(folder, 0700); !made) co_return made;
  }
  if (!options_.password.empty()) {
    if (auto written = fs::WriteFileAtomic(options_.passfile(), PassfileText(options_), 0600); !written) {
      co_return written;
    }
  }
  SpawnOptions spawn;
  spawn.argv = {options_.Program("postgres"), "--version"};
  auto done = co_await RunProcess(reactor_, std::move(spawn), clock().After(kLockWait));
  if (!done) co_return std::unexpected(std::move(done.error()));
  // "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"
  const auto open = done->output.find(") ");
  if (!done->status.Succeeded() || open == std::string::npos) {
    co_return Fail(Code::kFailedPrecondition,
                   fmt::format("{} doesn't run: {}{}", options_.Program("postgres"), done->output, done->error));
  }
  program_version_ = done->output.substr(open + 2);
  program_version_.erase(program_version_.find_first_of(" \n"));
  co_return Result<>();
}

Awaitable<Result<std::string>> PostgresController::InitDataDir(InitRequest request) {
  auto lock = co_await mutex_.Lock(clock(), clock().After(kLockWait), "init");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (directory_.IsInitialized()) co_return "data directory is already initialized";
  logger_.Info("initializing data directory", {{"data_dir", options_.data_dir}});
  auto done = co_await InitializeDataDirectory(reactor_, options_, std::move(request), clock().After(kInitTimeout));
  if (!done) {
    logger_.Error("data directory not initialized", {{"data_dir", options_.data_dir}, {"error", done.error()}});
    co_return std::unexpected(std::move(done.error()));
  }
  logger_.Info("data directory initialized", {{"data_dir", options_.data_dir}});
  co_return "data directory initialized";
}

Awaitable<Result<bool>> PostgresController::RecoverIfUnclean(Deadline deadline) {
  auto state = co_await ReadClusterState(reactor_, options_, deadline);
  if (!state) co_return std::unexpected(std::move(state.error()));
  if (IsCleanState(*state)) co_return false;
  if (*state == kCrashedStandby) {
    auto closed = co_await CloseStandby();
    if (!closed) co_return std::unexpected(std::move(closed.error()));
    co_return false;
  }
  logger_.Info("recovering in single-user mode", {{"cluster_state", *state}});
  auto recovered = co_await RecoverInSingleUserMode(reactor_, options_, deadline);
  if (!recovered) co_return std::unexpected(std::move(recovered.error()));
  co_return true;
}

// Single-user recovery ends the WAL with a checkpoint of its own. In a standby's WAL that record stands where its
// leader has another one, on the same timeline: pg_rewind doesn't see it, and the standby can never stream again.
Awaitable<Result<>> PostgresController::CloseStandby() {
  logger_.Info("shutting a crashed standby down cleanly");
  StartRequest request;
  request.extra_args = {"-c", "primary_conninfo=", "-c", "restore_command="};
  auto started = co_await StartLocked(std::move(request));
  if (!started) co_return Fail(std::move(started), "start of a crashed standby");
  auto stopped = co_await StopLocked(StopMode::kFast, options_.timeout);
  if (!stopped) co_return Fail(std::move(stopped), "shutdown of a crashed standby");
  co_return Result<>();
}

Awaitable<Result<StartOutcome>> PostgresController::Start(StartRequest request) {
  auto lock = co_await mutex_.Lock(clock(), clock().After(kLockWait), "start");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  co_return co_await StartLocked(std::move(request));
}

Awaitable<Result<StartOutcome>> PostgresController::StartLocked(StartRequest request) {
  auto usable = directory_.RequireInitialized();
  if (usable) usable = directory_.CheckOwnership();
  if (!usable) co_return std::unexpected(std::move(usable.error()));
  if (const auto running = directory_.FindPostmaster()) {
    const pid_t pid = running->process.pid;
    co_return StartOutcome{
        .pid = pid, .message = fmt::format("PostgreSQL is already running (pid {})", pid), .crash_recovery_ran = false};
  }
  auto cleared = co_await EndOrphans(reactor_, directory_, clock().After(options_.timeout));
  if (cleared) cleared = directory_.RemoveStalePidFile();
  if (!cleared) co_return std::unexpected(std::move(cleared.error()));
  StartOutcome outcome;
  if (request.allow_crash_recovery && request.suspected_divergence && directory_.HasStandbySignal()) {
    auto state = co_await ReadClusterState(reactor_, options_, clock().After(options_.timeout));
    if (!state) co_return std::unexpected(std::move(state.error()));
    // A crashed standby goes on where it was, by its start alone.
    if (*state != kCrashedStandby) {
      auto recovered = co_await RecoverIfUnclean(clock().After(kRewindTimeout));
      if (!recovered) co_return std::unexpected(std::move(recovered.error()));
      outcome.crash_recovery_ran = *recovered;
    }
  }
  auto prepared = request.as_primary ? directory_.RemoveSignalFiles() : directory_.CreateStandbySignal();
  if (prepared) prepared = InstallServerConfig(options_, options_.data_dir);
  if (prepared) prepared = fs::MakeDirectories(options_.socket_dir(), 0700);
  if (!prepared) co_return std::unexpected(std::move(prepared.error()));

  LaunchOptions launch;
  launch.data_dir = options_.data_dir;
  launch.port = request.port != 0 ? request.port : options_.port;
  launch.socket_dir = options_.socket_dir();
  launch.listen_addresses = options_.listen_addresses;
  launch.log_file = options_.log_file();
  launch.extra_args = std::move(request.extra_args);
  auto launched = co_await LaunchPostmaster(reactor_, options_, std::move(launch), clock().After(options_.timeout));
  if (!launched) {
    logger_.Error("postgres not started", {{"error", launched.error()}});
    co_return std::unexpected(std::move(launched.error()));
  }
  outcome.pid = launched->pid;
  outcome.message = fmt::format("PostgreSQL started as {} (pid {}){}", request.as_primary ? "primary" : "standby",
                                launched->pid, launched->accepting ? "" : ", still recovering");
  logger_.Info("postgres started",
               {{"pid", launched->pid}, {"as_primary", request.as_primary}, {"accepting", launched->accepting}});
  co_return outcome;
}

Awaitable<void> PostgresController::Checkpoint(const RunningPostmaster& postmaster, Deadline deadline) {
  PsqlCall call;
  call.socket_dir = postmaster.socket_dir;
  call.port = postmaster.port;
  call.arguments = {"--command", "CHECKPOINT"};
  auto done = co_await RunPsql(reactor_, options_, std::move(call), deadline);
  if (!done) logger_.Warn("no checkpoint before the stop", {{"error", done.error()}});
}

Awaitable<Result<std::string>> PostgresController::Stop(StopMode mode, Duration timeout) {
  auto lock = co_await mutex_.Lock(clock(), clock().After(kLockWait), "stop");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  co_return co_await StopLocked(mode, TimeoutOr(timeout));
}

Awaitable<Result<std::string>> PostgresController::StopLocked(StopMode mode, Duration timeout) {
  if (auto initialized = directory_.RequireInitialized(); !initialized) {
    co_return std::unexpected(std::move(initialized.error()));
  }
  const auto running = directory_.FindPostmaster();
  if (!running) co_return "PostgreSQL is not running";
  const Deadline deadline = clock().After(timeout);
  if (mode != StopMode::kImmediate && !options_.password.empty() && running->status.starts_with("ready")) {
    co_await Checkpoint(*running, deadline.Earlier(clock().After(std::min(kCheckpointTimeout, timeout / 2))));
  }
  auto stopped = co_await StopPostmaster(reactor_, *running, mode, deadline);
  if (!stopped) {
    logger_.Error("postgres not stopped", {{"pid", running->process.pid}, {"error", stopped.error()}});
    co_return std::unexpected(std::move(stopped.error()));
  }
  logger_.Info("postgres stopped", {{"pid", running->process.pid}});
  co_return "PostgreSQL stopped";
}

Awaitable<Result<StartOutcome>> PostgresController::Restart(RestartRequest request) {
  auto lock = co_await mutex_.Lock(clock(), clock().After(kLockWait), "restart");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  auto stopped = co_await StopLocked(request.mode, TimeoutOr(request.timeout));
  if (!stopped) co_return std::unexpected(std::move(stopped.error()));
  StartRequest start;
  start.port = request.port;
  start.extra_args = std::move(request.extra_args);
  co_return co_await StartLocked(std::move(start));
}

Awaitable<Result<std::string>> PostgresController::ReloadConfig() {
  auto lock = co_await mutex_.Lock(clock(), clock().After(kLockWait), "reload");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (auto initialized = directory_.RequireInitialized(); !initialized) {
    co_return std::unexpected(std::move(initialized.error()));
  }
  const auto running = directory_.FindPostmaster();
  if (!running) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not running");
  if (auto installed = InstallServerConfig(options_, options_.data_dir); !installed) {
    co_return std::unexpected(std::move(installed.error()));
  }
  auto process = Process::Adopt(reactor_, running->process);
  if (!process) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not running");
  if (auto signalled = process->Signal(SIGHUP); !signalled) co_return std::unexpected(std::move(signalled.error()));
  co_return "configuration reloaded";
}

Awaitable<Result<ServerStatus>> PostgresController::Status() {
  ServerStatus status;
  status.version = program_version_;
  status.port = options_.port;
  status.host = options_.socket_dir();
  if (!directory_.IsInitialized()) {
    status.state = ServerState::kNotInitialized;
    status.message = "data directory not initialized";
    co_return status;
  }
  const auto running = directory_.FindPostmaster();
  if (!running) {
    status.message = "PostgreSQL is not running";
    co_return status;
  }
  status.pid = running->process.pid;
  status.port = running->port;
  status.host = running->socket_dir;
  const auto now_s = std::chrono::duration_cast<seconds>(clock().WallNow().time_since_epoch()).count();
  status.uptime = seconds(std::max<std::int64_t>(0, now_s - running->started_at_unix_s));
  const std::string socket_path = fmt::format("{}/.s.PGSQL.{}", running->socket_dir, running->port);
  const Readiness readiness =
      co_await ProbeReadiness(reactor_, socket_path, options_.user, clock().After(kProbeTimeout));
  status.ready = readiness == Readiness::kReady;
  status.state = running->status.starts_with("stopping")   ? ServerState::kStopping
                 : running->status.starts_with("starting") ? ServerState::kStarting
                                                           : ServerState::kRunning;
  if (status.ready) status.state = ServerState::kRunning;
  status.message = status.ready                        ? "accepting connections"
                   : readiness == Readiness::kNoAnswer ? "the process is alive but doesn't answer"
                                                       : "rejecting connections";
  co_return status;
}

Awaitable<Result<std::string>> PostgresController::Version(std::string host, std::uint16_t port, std::string database) {
  PsqlCall call;
  call.socket_dir = host.empty() ? options_.socket_dir() : std::move(host);
  call.port = port != 0 ? port : options_.port;
  if (!database.empty()) call.database = std::move(database);
  call.arguments = {"--command", "SELECT version()"};
  co_return co_await RunPsql(reactor_, options_, std::move(call), clock().After(options_.timeout));
}

Awaitable<Result<std::string>> PostgresController::Rewind(RewindRequest request) {
  auto lock = co_await mutex_.Lock(clock(), clock().After(kLockWait), "rewind");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (auto initialized = directory_.RequireInitialized(); !initialized) {
    co_return std::unexpected(std::move(initialized.error()));
  }
  if (const auto running = directory_.FindPostmaster()) {
    co_return Fail(Code::kFailedPrecondition,
                   fmt::format("PostgreSQL is running (pid {}): stop it before a rewind", running->process.pid));
  }
  const Deadline deadline = clock().After(kRewindTimeout);
  auto recovered = co_await RecoverIfUnclean(deadline);
  if (!recovered) co_return std::unexpected(std::move(recovered.error()));
  logger_.Info(
      "rewinding",
      {{"source_host", request.source_host}, {"source_port", request.source_port}, {"dry_run", request.dry_run}});
  co_return co_await RunPgRewind(reactor_, options_, std::move(request), deadline);
}

Awaitable<Result<PostgresController::RestoreCommandOutcome>> PostgresController::StopRestoreCommand() {
  RestoreCommandOutcome outcome;
  auto text = fs::ReadFile(options_.restore_command_pidfile());
  if (!text) {
    if (text.error().code() != Code::kNotFound) co_return std::unexpected(std::move(text.error()));
    outcome.message = "no restore_command is running";
    co_return outcome;
  }
  pid_t pid = 0;
  std::from_chars(text->data(), text->data() + text->size(), pid);
  auto identity = IdentifyProcess(pid);
  auto process = identity ? Process::Adopt(reactor_, std::move(*identity))
                          : Result<Process>(std::unexpected(std::move(identity.error())));
  if (!process) {
    outcome.message = "no restore_command is running";
    co_return outcome;
  }
  outcome.found = true;
  auto ended = co_await process->Terminate(kRestoreCommandGrace);
  if (!ended) co_return std::unexpected(std::move(ended.error()));
  outcome.killed = true;
  outcome.message = fmt::format("restore_command (pid {}) ended", pid);
  co_return outcome;
}

}  // namespace multigres::pgctld
