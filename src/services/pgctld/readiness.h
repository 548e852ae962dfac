// Does a server accept connections? Asked as a client would, so a frozen server is not ready however alive its process.
#pragma once

#include <string>

#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

enum class Readiness : std::uint8_t {
  kReady,      // asks for authentication, or refuses this user for another reason than its own state
  kRejecting,  // 57P03: starting up, recovering, shutting down
  kNoAnswer,   // no connection, or nothing said before the deadline
};

// Sends a StartupMessage (PostgreSQL manual, "Message Flow", Start-up) on the unix socket and reads the first answer.
Awaitable<Readiness> ProbeReadiness(Reactor& reactor, std::string socket_path, std::string user, Deadline deadline);

}  // namespace multigres::pgctld
