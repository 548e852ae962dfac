// The orderly end of a PostgreSQL before its pgctld goes, and without one.
#pragma once

#include <string>

#include "common/provisioner/supervisor.h"

namespace multigres::provisioner {

// What the supervisor does beside signals: asks a pgctld to stop its PostgreSQL (fast) before it is ended itself, and
// ends what is left of that PostgreSQL afterwards.
SupervisorOptions StopOptions(Reactor& reactor);

// Ends the postmaster if there is one: fast, after 20 s immediate.
Awaitable<Result<>> StopPostmaster(Reactor& reactor, std::string data_dir);

}  // namespace multigres::provisioner
