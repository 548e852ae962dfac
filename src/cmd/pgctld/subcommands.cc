#include "cmd/pgctld/subcommands.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cmd/pgctld/flags.h"
#include "services/pgctld/postgres_controller.h"

namespace multigres::pgctld {

namespace {

struct Invocation {
  std::string command;
  std::string mode = "fast";
  bool as_standby = false;
  Flags flags;
};

std::string_view StateName(ServerState state) {
  switch (state) {
    case ServerState::kNotInitialized:
      return "NOT_INITIALIZED";
    case ServerState::kStopped:
      return "STOPPED";
    case ServerState::kStarting:
      return "STARTING";
    case ServerState::kRunning:
      return "RUNNING";
    case ServerState::kStopping:
      return "STOPPING";
  }
  return "UNKNOWN";
}

std::string StatusText(const PostgresOptions& options, const ServerStatus& status) {
  std::string text = fmt::format("Status: {}\n", StateName(status.state));
  if (status.pid != 0) {
    text += fmt::format("PID: {}\nReady: {}\nUptime: {} s\n", status.pid, status.ready ? "yes" : "no",
                        std::chrono::duration_cast<std::chrono::seconds>(status.uptime).count());
  }
  return text + fmt::format("Version: {}\nData directory: {}\nPort: {}\nSocket directory: {}\n{}", status.version,
                            options.data_dir, status.port, status.host, status.message);
}

Awaitable<Result<std::string>> StartServer(PostgresController& controller) {
  auto outcome = co_await controller.Start({});
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  co_return std::move(outcome->message);
}

Awaitable<Result<std::string>> RestartServer(PostgresController& controller, StopMode mode) {
  RestartRequest request;
  request.mode = mode;
  auto outcome = co_await controller.Restart(std::move(request));
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  co_return std::move(outcome->message);
}

Awaitable<Result<std::string>> Execute(PostgresController& controller, const Invocation& invocation) {
  auto prepared = co_await controller.Prepare();
  if (!prepared) co_return std::unexpected(std::move(prepared.error()));
  auto mode = ParseStopMode(invocation.mode);
  if (!mode) co_return std::unexpected(std::move(mode.error()));
  const std::string& command = invocation.command;
  if (command == "init") co_return co_await controller.InitDataDir({});
  if (command == "start") co_return co_await StartServer(controller);
  if (command == "stop") co_return co_await controller.Stop(*mode, Duration::zero());
  if (command == "restart") co_return co_await RestartServer(controller, *mode);
  if (command == "reload") co_return co_await controller.ReloadConfig();
  if (command == "version") co_return co_await controller.Version("", 0, "");
  auto status = co_await controller.Status();
  if (!status) co_return std::unexpected(std::move(status.error()));
  co_return StatusText(controller.options(), *status);
}

Awaitable<void> ExecuteInto(PostgresController& controller, const Invocation& invocation,
                            std::optional<Result<std::string>>& result) {
  result = co_await Execute(controller, invocation);
}

int Failed(std::string_view message) {
  std::fprintf(stderr, "Error: %.*s\n", static_cast<int>(message.size()), message.data());
  return 1;
}

}  // namespace

bool IsSubcommand(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {"init",   "start",   "stop",   "restart",
                                                      "status", "version", "reload", "restore-wrapper"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

int RunSubcommand(const std::vector<std::string>& arguments) {
  Invocation invocation;
  invocation.command = arguments[0];
  if (invocation.command == "restore-wrapper") return Failed("backups are not built in: nothing can be restored");
  servenv::FlagSet flags;
  RegisterFlags(flags, &invocation.flags);
  if (invocation.command == "stop" || invocation.command == "restart") {
    flags.Add("mode", &invocation.mode, "smart, fast or immediate");
  }
  if (invocation.command == "restart") {
    flags.Add("as-standby", &invocation.as_standby, "a restarted server always comes up as a standby");
  }
  auto parsed = flags.ParseArguments({arguments.begin() + 1, arguments.end()});
  if (!parsed) return Failed(parsed.error().message());
  if (flags.help_requested()) {
    std::fputs(flags.Help("pgctld " + invocation.command, "Controls one PostgreSQL server.").c_str(), stdout);
    return 0;
  }
  const auto getenv = [](const char* name) -> const char* { return std::getenv(name); };
  parsed = flags.ApplyEnvironment(getenv);
  if (parsed) parsed = flags.CheckRequired();
  if (!parsed) return Failed(parsed.error().message());
  if (::geteuid() == 0) return Failed("running as root is not permitted: PostgreSQL refuses it");
  auto options = Resolve(invocation.flags, getenv);
  if (!options) return Failed(options.error().message());

  Reactor reactor;
  PostgresController controller(reactor, std::move(*options), Logger());
  std::optional<Result<std::string>> result;
  RunOnReactor(reactor, ExecuteInto(controller, invocation, result));
  if (!*result) return Failed(result->error().message());
  std::printf("%s\n", (*result)->c_str());
  return 0;
}

}  // namespace multigres::pgctld
