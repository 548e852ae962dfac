#include "services/multiadmin/service.h"

#include "services/multiadmin/connect.h"
#include "services/multiadmin/rest.h"
#include "services/multiadmin/services_page.h"

namespace multigres::admin {

Service::Service(topo::Store& store, rpc::ChannelOptions pooler_channel, const Logger& logger)
    : store_(store),
      grpc_(store, std::move(pooler_channel), logger),
      api_(grpc_, store.reactor()),
      proxy_(store, logger) {}

Awaitable<void> Service::Stop() {
  return grpc_.Stop();
}

void Service::RegisterPages(http::Router& router) {
  router.Handle("*", "/proxy/", [this](const http::Request& request) { return proxy_.Answer(request); });
  router.Handle("GET", "/services", [this](const http::Request&) { return AnswerServices(*this); });
  // The status page answers what has no route; the web UI's paths are no status pages.
  router.HandleSync("*", "/ui/", [](const http::Request&) { return http::TextResponse(404, "Not Found\n"); });
}

void Service::RegisterApi(http::Router& router) {
  RegisterRest(router, api_);
  RegisterConnect(router, api_);
}

void Service::SetHttpAddress(TcpAddress reachable, TcpAddress shown) {
  proxy_.SetSelf(std::move(reachable));
  shown_ = std::move(shown);
}

Awaitable<http::Response> Service::AnswerServices(Service& self) {
  auto cells = co_await DiscoverServices(self.store_, self.store_.clock().After(kDiscoveryTimeout));
  co_return http::HtmlResponse(200, ServicesPage(self.shown_, cells));
}

}  // namespace multigres::admin
