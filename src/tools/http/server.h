// An HTTP/1.1 server for status pages, probes and admin APIs: whole messages, keep-alive, no TLS.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/async/reactor.h"
#include "tools/http/router.h"
#include "tools/log/logger.h"
#include "tools/net/socket.h"

namespace multigres::http {

struct ServerOptions {
  Duration header_timeout = std::chrono::seconds(10);  // from a request's first byte to the end of its header
  Duration idle_timeout = std::chrono::minutes(2);  // between requests; also for a body, or an answer, to get through
  std::size_t max_header_bytes = 64 * 1024;         // 431 beyond
  std::size_t max_body_bytes = 16 * 1024 * 1024;    // 413 beyond
  std::size_t max_connections = 1024;               // further ones wait in the backlog
};

// Every answer carries CORS headers for reading ("*"); OPTIONS gets 204; a changing request (not GET, HEAD or OPTIONS)
// whose Origin isn't this server's own host gets 403, since a browser sends it for any page that asks.
// Unknown paths get 404, known ones by another method 405 with Allow, malformed requests 400.
// One reactor. Stop() must be awaited before destruction.
class Server {
 public:
  static std::unique_ptr<Server> Create(Reactor& reactor, const Router& router, Logger logger,
                                        ServerOptions options = {});
  virtual ~Server() = default;

  // Listens and starts answering; gives the bound port. UNAVAILABLE names the address if it is in use.
  virtual Result<std::uint16_t> Listen(const Address& address) = 0;
  // No new connections; those idle end at once, running requests may finish until the deadline.
  virtual Awaitable<void> Stop(Deadline deadline) = 0;
};

}  // namespace multigres::http
