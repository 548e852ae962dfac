// Starting and stopping the server process itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/pgctld/data_directory.h"
#include "services/pgctld/options.h"
#include "tools/async/reactor.h"
#include "tools/process/process.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

enum class StopMode : std::uint8_t { kSmart, kFast, kImmediate };
// "smart", "fast", "immediate"; empty = fast. INVALID_ARGUMENT.
Result<StopMode> ParseStopMode(std::string_view text);

struct LaunchOptions {
  std::string data_dir;
  std::uint16_t port = 5432;
  std::string socket_dir;
  std::string listen_addresses;  // empty = no TCP
  std::string log_file;
  std::vector<std::string> extra_args;
};

struct LaunchOutcome {
  pid_t pid = 0;
  bool accepting = false;  // else it still recovers
};

// Starts a postmaster in a session of its own, so that it outlives us, and waits until it accepts connections, ends
// (INTERNAL with the end of its log), or the deadline passes: a server that still recovers then is a success with
// accepting = false.
Awaitable<Result<LaunchOutcome>> LaunchPostmaster(Reactor& reactor, const PostgresOptions& options,
                                                  LaunchOptions launch, Deadline deadline);

// Signals and waits for the end of the process. kImmediate escalates: a server that doesn't react to SIGQUIT within 5 s
// (stopped by SIGSTOP, or stuck) is killed with its children. DEADLINE_EXCEEDED: it still runs.
Awaitable<Result<>> StopPostmaster(Reactor& reactor, const RunningPostmaster& postmaster, StopMode mode,
                                   Deadline deadline);

// Ends what a dead postmaster left behind (it would keep the shared memory, and with it the next start): waits a moment
// for them to go by themselves, then kills. Call it only when no postmaster runs.
Awaitable<Result<>> EndOrphans(Reactor& reactor, const DataDirectory& directory, Deadline deadline);

// The last lines of a text file, for error messages.
std::string TailOf(const std::string& path, std::size_t from_offset, int lines);

}  // namespace multigres::pgctld
