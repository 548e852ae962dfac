// Which server runs on a data directory of this host: postmaster.pid, believed only as far as the process table agrees.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/process/process_identity.h"

namespace multigres::pgdata {

// postmaster.pid, of a postmaster that really runs on this folder.
struct RunningPostmaster {
  ProcessIdentity process;
  std::int64_t started_at_unix_s = 0;
  std::uint16_t port = 0;
  std::string socket_dir;
  std::string status;  // "starting", "stopping", "ready", "standby"
};

// Empty if no postmaster runs that this process can see: no file, a stale one, a pid that now belongs to something
// else, or a server of another host or another space of process ids.
std::optional<RunningPostmaster> FindPostmaster(const std::string& data_dir);

// A postgres process whose working folder is this data folder: a postmaster, or a child of one.
bool RunsOn(pid_t pid, const std::string& data_dir);

}  // namespace multigres::pgdata
