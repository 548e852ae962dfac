// The client of the pool, for tests that start servers on ports they must know beforehand.
#pragma once

#include <memory>
#include <string>

#include "common/portpool/port_pool.h"
#include "tools/async/reactor.h"
#include "tools/log/logger.h"
#include "tools/net/line_stream.h"

namespace multigres::portpool {

inline constexpr const char* kAddressVariable = "MULTIGRES_PORT_POOL_ADDR";

// Ports stay allocated until returned, or until this is destroyed.
class PortPoolClient {
 public:
  // Connects to the server at `socket_path`, up to ten times every 500 ms. If it is empty, or nobody answers (which is
  // logged as a warning), ports are found in this process.
  static Awaitable<std::unique_ptr<PortPoolClient>> Open(Reactor& reactor, std::string socket_path, Logger logger);
  ~PortPoolClient();

  // Up to ten attempts if ports collide. RESOURCE_EXHAUSTED, UNAVAILABLE.
  Awaitable<Result<std::uint16_t>> Allocate();
  Awaitable<Result<>> Return(std::uint16_t port);
  bool UsesServer() const { return lines_ != nullptr; }

 private:
  PortPoolClient() : session_(pool_) {}
  Awaitable<Result<std::string>> Ask(std::string line);

  std::unique_ptr<LineStream> lines_;  // null: in this process
  PortPool pool_;
  PortPoolSession session_;
};

}  // namespace multigres::portpool
