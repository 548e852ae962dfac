#include "common/rpc/health/health_service.h"

#include <gtest/gtest.h>

#include "grpc/health/v1/health.pb.h"

namespace multigres::rpc::health {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

// A server and a channel to it, each on a reactor of its own.
template <class Body>
void WithServer(Body body) {
  ReactorPool pool(1);
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& here, Reactor& there, Body& body) -> Awaitable<void> {
    auto server = Server::Create({&there});
    HealthService health(*server);
    server->Register(health);
    Server* raw = server.get();
    auto listen = [](Server* server) -> Awaitable<std::uint16_t> {
      co_return server->Listen(TcpAddress{"127.0.0.1", 0}).value();
    };
    const std::uint16_t port = co_await RunOn<std::uint16_t>(here, there, [raw, listen] { return listen(raw); });
    auto channel = Channel::Create(here, TcpAddress{"127.0.0.1", port});
    co_await body(health, *channel);
    co_await channel->Close();
    co_await RunOn<void>(here, there, [raw] { return raw->Stop(Deadline()); });
  }(reactor, pool[0], body));
}

TEST(HealthService, ChecksKnownServicesAndTheWhole) {
  WithServer([](HealthService& health, Channel& channel) -> Awaitable<void> {
    ::grpc::health::v1::rpc::HealthClient client(channel);
    HealthCheckRequest request;
    auto whole = co_await client.Check(request);
    EXPECT_TRUE(whole && whole->status() == HealthCheckResponse::SERVING);
    health.SetServing(false);
    request.set_service("grpc.health.v1.Health");
    auto known = co_await client.Check(request);
    EXPECT_TRUE(known && known->status() == HealthCheckResponse::NOT_SERVING);
    request.set_service("no.Such");
    auto unknown = co_await client.Check(request);
    EXPECT_TRUE(!unknown && unknown.error().code() == Code::kNotFound);
  });
}

TEST(HealthService, WatchersSeeEachChange) {
  WithServer([](HealthService& health, Channel& channel) -> Awaitable<void> {
    ::grpc::health::v1::rpc::HealthClient client(channel);
    HealthCheckResponse status;
    HealthCheckRequest no_such;
    no_such.set_service("no.Such");
    auto unknown = client.Watch(no_such);
    EXPECT_TRUE((co_await unknown.Read(status)).value_or(false));
    EXPECT_EQ(status.status(), HealthCheckResponse::SERVICE_UNKNOWN);
    auto watch = client.Watch(HealthCheckRequest());
    EXPECT_TRUE((co_await watch.Read(status)).value_or(false));
    EXPECT_EQ(status.status(), HealthCheckResponse::SERVING);
    health.SetServing(false);
    EXPECT_TRUE((co_await watch.Read(status)).value_or(false));
    EXPECT_EQ(status.status(), HealthCheckResponse::NOT_SERVING);
  });
}

}  // namespace
}  // namespace multigres::rpc::health
