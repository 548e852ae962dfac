// What the process gives to the service in it: reactors, seams, servers, and the flags that all services share.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/servenv/common_flags.h"
#include "common/servenv/status_page.h"
#include "tools/async/reactor.h"
#include "tools/http/router.h"
#include "tools/log/logger.h"
#include "tools/metrics/metrics.h"
#include "tools/random/random.h"

namespace multigres::rpc {
class Server;
class Service;
struct TlsOptions;
}  // namespace multigres::rpc

namespace multigres::servenv {

// Made by RunProgram(); lives longer than the service. Everything here is for the main reactor's thread, unless said
// otherwise.
class Environment {
 public:
  virtual ~Environment() = default;

  virtual const std::string& name() const = 0;
  // The main reactor: hooks, HTTP handlers and the clock of this thread.
  virtual Reactor& reactor() = 0;
  // All of them, the main one first; --reactors says how many. Each runs on a thread of its own.
  virtual std::span<Reactor* const> reactors() const = 0;

  virtual Logger& logger() = 0;    // copies: any thread
  virtual Metrics& metrics() = 0;  // any thread
  virtual Random& random() = 0;    // this thread's; make others by SystemRandom()

  // Routes beside the shared ones: during Init() only.
  virtual http::Router& http() = 0;
  virtual StatusPage& status_page() = 0;
  // For Register(): during Init() only. It is there even if no gRPC address was given; nobody reaches it then.
  virtual rpc::Server& grpc() = 0;
  // --service-map: on by default are grpc-pooler, grpc-poolermanager, grpc-consensus and grpc-pgctld. Services that
  // can't be switched off don't ask.
  virtual bool ServiceMapped(std::string_view service) const = 0;

  // For registration: --hostname or this machine's fully qualified name.
  virtual const std::string& hostname() const = 0;
  // The port bound.
  virtual std::uint16_t http_port() const = 0;
  // The host on which this machine reaches the own HTTP server, whatever address it is bound to.
  virtual std::string http_host() const = 0;
  virtual const GrpcFlags& grpc_flags() const = 0;
  virtual bool ServesGrpc() const = 0;  // a port or a socket was given
  // Does the own gRPC server accept connections (its socket, else its port; 500 ms)? For CheckReady().
  virtual Awaitable<Result<>> CheckOwnGrpc() = 0;

  // Ends the program as SIGTERM does, then exits with `exit_code`. Idempotent; any thread.
  virtual void RequestStop(int exit_code = 0) = 0;
};

// The topology store of --topo-*, with a row `Cell: <c>` for each of its connections on the status page and its lock
// metric. INVALID_ARGUMENT texts: `topo-global-server-addresses must be configured`, `topo-global-root must be
// non-empty`.
Result<std::unique_ptr<topo::Store>> OpenTopology(Environment& env, const TopoFlags& flags);

}  // namespace multigres::servenv
