#include "our_server.h"

#include <future>

#include "tools/result/check.h"

namespace multigres::interop {
namespace {

Awaitable<void> StopOn(Reactor& here, Reactor& target, rpc::Server& server, Duration grace) {
  co_await RunOn<void>(here, target, [&] { return server.Stop(target.clock().After(grace)); });
}

}  // namespace

OurServer::OurServer(rpc::ServerOptions options) {
  std::promise<std::uint16_t> listening;
  reactors_[0].Post([&] {
    server_ = rpc::Server::Create({&reactors_[0]}, std::move(options));
    health_ = std::make_unique<rpc::health::HealthService>(*server_);
    reflection_ = std::make_unique<rpc::reflection::ReflectionService>(*server_);
    server_->Register(service_);
    server_->Register(*health_);
    server_->Register(*reflection_);
    const Result<std::uint16_t> port = server_->Listen(TcpAddress{"127.0.0.1", 0});
    CHECK(port.has_value(), port.error().ToString());
    listening.set_value(*port);
  });
  port_ = listening.get_future().get();
}

OurServer::~OurServer() {
  Stop(Duration::zero());
  std::promise<void> destroyed;
  reactors_[0].Post([&] {
    server_.reset();
    destroyed.set_value();
  });
  destroyed.get_future().wait();
}

void OurServer::Stop(Duration grace) {
  if (std::exchange(stopped_, true)) return;
  Reactor here;
  RunOnReactor(here, StopOn(here, reactors_[0], *server_, grace));
}

}  // namespace multigres::interop
