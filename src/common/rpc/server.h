// The server side: listeners, connections, and dispatch to services.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/service.h"
#include "common/rpc/tls_options.h"
#include "tools/async/reactor.h"
#include "tools/net/socket.h"

namespace multigres::rpc {

struct ServerOptions {
  std::optional<TlsOptions> tls;
  // mTLS authorization: the client certificate's subject must contain one of them (empty = any); else UNAUTHENTICATED.
  std::vector<std::string> allowed_subject_substrings;
  Duration max_connection_age = Duration::max();
  Duration max_connection_age_grace = Duration::max();
  Duration keepalive_time = std::chrono::seconds(10);
  Duration keepalive_timeout = std::chrono::seconds(10);
  Duration min_ping_interval = std::chrono::seconds(10);  // enforcement: faster pings end in GOAWAY too_many_pings
  bool permit_pings_without_stream = false;
  std::uint32_t initial_window_bytes = 0;             // 0 = the runtime's default
  std::uint32_t initial_connection_window_bytes = 0;  // likewise
};

// One server over one or more reactors: a single acceptor per listener hands connections out in turn; all calls of a
// connection run on its reactor, so services must be usable from every reactor passed here.
class Server {
 public:
  static std::unique_ptr<Server> Create(std::vector<Reactor*> reactors, ServerOptions options = {});
  virtual ~Server() = default;

  // Before Listen(). The service must outlive the server.
  virtual void Register(Service& service) = 0;
  // Those registered so far, for health and reflection (common/rpc/health, common/rpc/reflection).
  virtual const std::vector<Service*>& services() const = 0;
  // Listens (plain on a unix socket, TLS on TCP if configured). Call on reactors[0]. May be called for several
  // addresses.
  virtual Result<std::uint16_t> Listen(const Address& address) = 0;
  // GOAWAY, no new connections, waits for open calls until the deadline, then cancels (reason kShutdown) and joins the
  // rest. Call on reactors[0]; must be awaited before destruction.
  virtual Awaitable<void> Stop(Deadline deadline) = 0;
};

}  // namespace multigres::rpc
