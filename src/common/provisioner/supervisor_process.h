// The supervisor as a process of its own: the hidden command of the CLI, detached, one for each root.
#pragma once

#include <string>

#include "common/provisioner/layout.h"
#include "common/provisioner/supervisor_control.h"

namespace multigres::provisioner {

// Its whole life: takes the root's lock, adopts what a dead predecessor left running, serves the control socket, and on
// SIGTERM, SIGINT or a shutdown command stops every service and returns. FAILED_PRECONDITION if another has the lock.
Awaitable<Result<>> RunSupervisor(Reactor& reactor, Random& random, Logger logger, Layout layout);

struct SupervisorState {
  ProcessIdentity process;
  std::string started_at;
};
// NOT_FOUND if there is none. Says nothing about whether it still runs.
Result<SupervisorState> ReadSupervisorState(const Layout& layout);

// Starts a detached supervisor by running `argv` and returns once it serves its socket; the one that runs already, if
// there is one. The error has the end of its log.
Awaitable<Result<std::unique_ptr<SupervisorClient>>> EnsureSupervisor(Reactor& reactor, Layout layout,
                                                                      std::vector<std::string> argv);

}  // namespace multigres::provisioner
