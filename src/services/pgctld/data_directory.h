// What PGDATA says about itself: initialised or not, standby or not, cleanly shut down or not, and whose postmaster
// runs on it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/pgdata/postmaster_file.h"
#include "tools/process/process_identity.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

using pgdata::RunningPostmaster;

class DataDirectory {
 public:
  explicit DataDirectory(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // initdb finished there: PG_VERSION exists.
  bool IsInitialized() const;
  // FAILED_PRECONDITION `data directory not initialized: ... Run 'pgctld init' first`.
  Result<> RequireInitialized() const;
  // FAILED_PRECONDITION unless it belongs to us and nobody else may read it.
  Result<> CheckOwnership() const;

  // Empty if no postmaster runs: no file, a stale one, or a pid that now belongs to something else.
  std::optional<RunningPostmaster> FindPostmaster() const;

  // PostgreSQL's processes in this folder, whatever postmaster.pid says: a postmaster's children share its working
  // folder, and may outlive it.
  std::vector<ProcessIdentity> FindProcesses() const;
  // Removes postmaster.pid if nobody works in this folder: its pid may belong to a stranger by now, which PostgreSQL
  // would take for a server.
  Result<> RemoveStalePidFile() const;

  bool HasStandbySignal() const;
  // Durable before they return. CreateStandbySignal() also removes recovery.signal.
  Result<> CreateStandbySignal() const;
  Result<> RemoveSignalFiles() const;

 private:
  std::string path_;
};

// The line "Database cluster state:" and others of pg_controldata's output (LC_ALL=C); empty if absent.
std::string ControlDataField(std::string_view output, std::string_view name);
// "shut down" and "shut down in recovery" are clean.
bool IsCleanState(std::string_view cluster_state);

}  // namespace multigres::pgctld
