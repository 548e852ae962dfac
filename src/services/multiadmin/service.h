// One multiadmin: the admin API by gRPC, REST and Connect, the proxy to status pages, and the /services page.
#pragma once

#include <string>

#include "common/rpc/channel.h"
#include "common/topoclient/store.h"
#include "services/multiadmin/admin_service.h"
#include "services/multiadmin/proxy.h"
#include "services/multiadmin/service_api.h"
#include "tools/http/router.h"
#include "tools/log/logger.h"

namespace multigres::admin {

// Lives on the store's reactor. The store must outlive it; it must outlive the servers that it is registered with.
class Service {
 public:
  Service(topo::Store& store, rpc::ChannelOptions pooler_channel, const Logger& logger);
  // Await before destruction, after the servers have stopped.
  Awaitable<void> Stop();

  AdminService& grpc() { return grpc_; }
  // /services and /proxy/...
  void RegisterPages(http::Router& router);
  // /api/... and /multiadmin.MultiAdminService/...
  void RegisterApi(http::Router& router);
  // Where the HTTP server answers: `reachable` from this machine, `shown` to people. Before the first request.
  void SetHttpAddress(TcpAddress reachable, TcpAddress shown);

 private:
  static constexpr Duration kDiscoveryTimeout = std::chrono::seconds(5);
  static Awaitable<http::Response> AnswerServices(Service& self);

  topo::Store& store_;
  AdminService grpc_;
  ServiceApi api_;
  Proxy proxy_;
  TcpAddress shown_;
};

}  // namespace multigres::admin
