// The PostgreSQL beside this pooler while it runs: what it says, and what it is told. A seam: behind it are SQL
// sessions (sql_server.h) and, in the simulation, a server in memory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "services/multipooler/replication/server_state.h"
#include "tools/async/awaitable.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::pooler::replication {

struct SettingChange {
  std::string name;
  std::string value;  // text as SHOW gives it
};

// What a reload found. Values are compared, never returned.
struct ReloadReport {
  struct Mismatch {
    std::string name;
    std::string error;
    bool requires_restart = false;
  };
  std::vector<Mismatch> mismatches;  // not empty: nothing was reloaded
  bool needs_restart = false;
  WallTime loaded_at;
};

// One reactor. Every call has a deadline, so that a frozen server can't hold its callers: UNAVAILABLE (did not execute)
// if there is no server, DEADLINE_EXCEEDED leaves open whether it happened.
class Server {
 public:
  explicit Server(Clock& clock) : clock_(clock) {}
  virtual ~Server() = default;
  Clock& clock() { return clock_; }

  virtual Awaitable<Result<ServerState>> ReadState(Deadline deadline) = 0;
  // For a step of an operation: within 2 s, so that a server that freezes on the way can't hold it.
  Awaitable<Result<ServerState>> ReadStateSoon(Deadline deadline);
  // Physical walsenders, as a primary sees them.
  virtual Awaitable<Result<std::vector<Follower>>> ReadFollowers(Deadline deadline) = 0;
  // Writes all of them durably (ALTER SYSTEM), reloads, and waits until a session sees every value (at most 5 s).
  // Processes of the server may see them later than that.
  virtual Awaitable<Result<>> ChangeSettings(std::vector<SettingChange> changes, Deadline deadline) = 0;
  // Leaves recovery on timeline term + 1 (promotion.h says why), and returns once it is a primary. FAILED_PRECONDITION
  // if the own timeline is beyond the term: there is one promotion a term.
  virtual Awaitable<Result<>> Promote(std::int64_t term, Deadline deadline) = 0;
  virtual Awaitable<Result<>> Checkpoint(Deadline deadline) = 0;
  // Asks only; ServerState::replay_pause_state tells when it has happened.
  virtual Awaitable<Result<>> SetReplayPaused(bool paused, Deadline deadline) = 0;
  // Reads the configuration files again if they agree with `expected`.
  virtual Awaitable<Result<ReloadReport>> Reload(std::map<std::string, std::string> expected, Deadline deadline) = 0;
  // Whether a server answers there, as a primary. False if it can't be told.
  virtual Awaitable<bool> IsPrimaryAt(std::string host, std::uint16_t port, Deadline deadline) = 0;
  // The server went, or is about to: idle sessions with it are closed.
  virtual void Disconnect() = 0;

 private:
  Clock& clock_;
};

}  // namespace multigres::pooler::replication
