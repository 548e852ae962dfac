// One PostgreSQL server, controlled: what pgctld's RPCs and subcommands do, without the RPC.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/pgctld/data_directory.h"
#include "services/pgctld/initdb.h"
#include "services/pgctld/options.h"
#include "services/pgctld/postmaster.h"
#include "services/pgctld/rewind.h"
#include "tools/async/mutex.h"
#include "tools/async/reactor.h"
#include "tools/log/logger.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

enum class ServerState : std::uint8_t { kNotInitialized, kStopped, kStarting, kRunning, kStopping };

struct ServerStatus {
  ServerState state = ServerState::kStopped;
  // The process and what it says are told apart: a frozen server is kRunning, has a pid, and is not ready.
  pid_t pid = 0;
  bool ready = false;
  std::string version;  // of the programs: "15.20"
  Duration uptime{};
  std::uint16_t port = 0;
  std::string host;  // socket folder
  std::string message;
};

struct StartRequest {
  std::uint16_t port = 0;  // 0 = configured
  std::vector<std::string> extra_args;
  bool allow_crash_recovery = false;
  bool as_primary = false;
  bool suspected_divergence = false;
};
struct StartOutcome {
  pid_t pid = 0;
  std::string message;  // contains "already" if it was running
  bool crash_recovery_ran = false;
};

struct RestartRequest {
  StopMode mode = StopMode::kFast;
  Duration timeout{};  // 0 = configured
  std::uint16_t port = 0;
  std::vector<std::string> extra_args;
};

// Lives on one reactor. Operations that change something run one at a time and finish however the caller fares; each is
// bounded by its own timeout. Status() never waits for them.
class PostgresController {
 public:
  PostgresController(Reactor& reactor, PostgresOptions options, Logger logger);

  const PostgresOptions& options() const { return options_; }

  // Checks what no operation can do without: the programs, the socket path's length, folders. Writes the passfile.
  Awaitable<Result<>> Prepare();

  // Message "already initialized" if it is.
  Awaitable<Result<std::string>> InitDataDir(InitRequest request);
  // As a standby (standby.signal is written) unless as_primary. Single-user recovery first only if allowed, suspected,
  // a standby, and a crash interrupted it as a primary.
  Awaitable<Result<StartOutcome>> Start(StartRequest request);
  // CHECKPOINT first (best effort), then the signal. Not running = success. timeout 0 = configured.
  Awaitable<Result<std::string>> Stop(StopMode mode, Duration timeout);
  // Stops, and starts as a standby: a server never comes back writable by itself.
  Awaitable<Result<StartOutcome>> Restart(RestartRequest request);
  // Renders the configuration files anew and signals the server.
  Awaitable<Result<std::string>> ReloadConfig();
  Awaitable<Result<ServerStatus>> Status();
  // Of a running server, asked by SQL. Empty fields = this one.
  Awaitable<Result<std::string>> Version(std::string host, std::uint16_t port, std::string database);
  // FAILED_PRECONDITION while it runs. If it wasn't shut down cleanly, recovers in single-user mode first; a standby,
  // whose WAL must stay its leader's, is started and shut down instead.
  Awaitable<Result<std::string>> Rewind(RewindRequest request);

  struct RestoreCommandOutcome {
    bool found = false;
    bool killed = false;
    std::string message;
  };
  // Ends the restore_command whose pid is in restore_command.pid: TERM, then KILL.
  Awaitable<Result<RestoreCommandOutcome>> StopRestoreCommand();

 private:
  Awaitable<Result<StartOutcome>> StartLocked(StartRequest request);
  Awaitable<Result<std::string>> StopLocked(StopMode mode, Duration timeout);
  Awaitable<Result<bool>> RecoverIfUnclean(Deadline deadline);
  Awaitable<Result<>> CloseStandby();
  Awaitable<void> Checkpoint(const RunningPostmaster& postmaster, Deadline deadline);
  Duration TimeoutOr(Duration timeout) const { return timeout > Duration::zero() ? timeout : options_.timeout; }
  Clock& clock() { return reactor_.clock(); }

  Reactor& reactor_;
  const PostgresOptions options_;
  const DataDirectory directory_;
  Logger logger_;
  Mutex mutex_;
  std::string program_version_;
};

}  // namespace multigres::pgctld
