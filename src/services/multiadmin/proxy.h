// The reverse proxy to the services' status pages: /proxy/{gate|pool|orch}/{cell}/{name}/... and
// /proxy/admin/{cell}/... (this multiadmin itself).
#pragma once

#include <string>
#include <string_view>

#include "common/topoclient/store.h"
#include "tools/http/router.h"
#include "tools/log/logger.h"
#include "tools/net/socket.h"

namespace multigres::admin {

// A proxied path in its parts, decoded but for the rest.
struct ProxyPath {
  std::string kind;
  std::string cell;
  std::string name;    // of kind admin: empty
  std::string prefix;  // "/proxy/pool/zone1/x": what the target's pages are served below, encoded
  std::string rest;    // "/live?x=1": path and query for the target, as they came

  // INVALID_ARGUMENT with fewer than three parts, or an empty one.
  static Result<ProxyPath> Parse(std::string_view target);
};

// Only what the topology lists can be reached. Answers of its own: 400 for a malformed path, 404 for a service that
// isn't registered, 502 for one that can't be reached, 503 for the topology, 504 for one that takes too long.
class Proxy {
 public:
  static constexpr Duration kTimeout = std::chrono::seconds(30);

  // The store must outlive the proxy.
  Proxy(topo::Store& store, Logger logger);
  // Where this process's own HTTP server answers; before the first request.
  void SetSelf(TcpAddress self) { self_ = std::move(self); }
  Awaitable<http::Response> Answer(const http::Request& request) const;

 private:
  Awaitable<Result<TcpAddress>> FindTarget(ProxyPath path, Deadline deadline) const;

  topo::Store& store_;
  Logger logger_;
  TcpAddress self_;
};

}  // namespace multigres::admin
