// Does a query go through a gateway to PostgreSQL?
#pragma once

#include <string>

#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::provisioner {

struct GatewayAddress {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string user = "postgres";
  std::string password = "postgres";
  std::string database = "postgres";
};

// Connects and runs SELECT 1, in 5 s at most.
Awaitable<Result<>> SelectOne(Reactor& reactor, GatewayAddress gateway);
// As often as it takes, until the deadline; the error is the last attempt's.
Awaitable<Result<>> WaitForSelectOne(Reactor& reactor, GatewayAddress gateway, Deadline deadline);

}  // namespace multigres::provisioner
