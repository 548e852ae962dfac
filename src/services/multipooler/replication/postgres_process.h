// The server process behind this pooler, as pgctld controls it: a seam, so that tests need no daemon.
#pragma once

#include <string>

#include "tools/async/awaitable.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::pooler::replication {

struct ProcessStatus {
  bool initialized = false;    // PGDATA is complete
  bool process_alive = false;  // a postmaster runs, answering or not
  bool ready = false;          // it accepts connections
  bool stopping = false;
};

// One reactor. Every call is bounded by its own timeout on pgctld's side; UNAVAILABLE if pgctld can't be reached.
class PostgresProcess {
 public:
  virtual ~PostgresProcess() = default;

  virtual Awaitable<Result<ProcessStatus>> Status(Deadline deadline) = 0;
  // Running already = success.
  virtual Awaitable<Result<>> StartAsStandby(bool suspected_divergence) = 0;
  // Only for the throwaway of a bootstrap.
  virtual Awaitable<Result<>> StartAsPrimary() = 0;
  // Fast, and immediate if that doesn't end within `fast_timeout`. Not running = success.
  virtual Awaitable<Result<>> Stop(Duration fast_timeout) = 0;
  // initdb; nothing to do if there is a data directory.
  virtual Awaitable<Result<>> InitDataDir() = 0;
  struct RewindSource {
    std::string host;
    std::uint16_t port = 0;
    std::string application_name;
  };
  // What pg_rewind printed. The server must be stopped.
  virtual Awaitable<Result<std::string>> Rewind(RewindSource source, bool dry_run) = 0;
  virtual Awaitable<Result<>> StopRestoreCommand() = 0;
};

}  // namespace multigres::pooler::replication
