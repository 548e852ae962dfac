// Bringing a stopped server's data back to a source's history: crash recovery in single-user mode, and pg_rewind.
#pragma once

#include <string>
#include <vector>

#include "services/pgctld/options.h"
#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

// "shut down", "in production", ... of a stopped server (pg_controldata).
Awaitable<Result<std::string>> ReadClusterState(Reactor& reactor, const PostgresOptions& options, Deadline deadline);

// Replays what a crash left and shuts down cleanly, on the same timeline. The signal files are away meanwhile and
// always put back. Retries 10 times, 500 ms apart, while another process still holds the lock file.
Awaitable<Result<>> RecoverInSingleUserMode(Reactor& reactor, const PostgresOptions& options, Deadline deadline);

struct RewindRequest {
  std::string source_host;
  std::uint16_t source_port = 0;
  bool dry_run = false;
  std::vector<std::string> extra_args;
  std::string application_name;
};

// pg_rewind against a stopped, cleanly shut down server. Returns what it printed ("servers diverged at WAL location",
// "no rewind required"); a dry run ends as soon as that is known, and fetches nothing. The passfile is used, no
// password shows anywhere. INTERNAL with the output if it fails: the data directory of a real run must then be taken
// for broken until a later run succeeds.
Awaitable<Result<std::string>> RunPgRewind(Reactor& reactor, const PostgresOptions& options, RewindRequest request,
                                           Deadline deadline);

}  // namespace multigres::pgctld
