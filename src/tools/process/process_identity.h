// Which process a pid meant: pids are reused, a pid with its start time is not.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tools/result/error.h"

namespace multigres {

struct ProcessIdentity {
  pid_t pid = 0;
  // Boot id and start time in clock ticks since boot, opaque; may be stored in a file.
  std::string started;

  bool operator==(const ProcessIdentity&) const = default;
};

// NOT_FOUND if no process has the pid. A zombie still counts.
Result<ProcessIdentity> IdentifyProcess(pid_t pid);
// Does that very process still exist, and is it more than a zombie?
bool IsRunning(const ProcessIdentity& identity);
// Pids whose parent is `pid` now.
std::vector<pid_t> ChildrenOf(pid_t pid);
// Arguments of a process, empty if it can't be read.
std::vector<std::string> CommandLineOf(pid_t pid);

}  // namespace multigres
