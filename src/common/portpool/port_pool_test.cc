#include "common/portpool/port_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/portpool/port_pool_client.h"
#include "common/portpool/port_pool_server.h"

namespace multigres::portpool {
namespace {

using namespace std::chrono_literals;

TEST(PortPoolSession, SpeaksTheProtocol) {
  std::uint16_t next = 1000;
  PortPool pool([&]() -> Result<std::uint16_t> { return next; });
  PortPoolSession session(pool);
  EXPECT_EQ(session.Answer("PING"), "PONG");
  EXPECT_EQ(session.Answer(""), "");
  EXPECT_EQ(session.Answer("  "), "");
  EXPECT_EQ(session.Answer("ALLOC"), "PORT 1000");
  EXPECT_EQ(session.Answer("ALLOC"), "ERR port collision, retry");
  next = 1001;
  EXPECT_EQ(session.Answer("ALLOC"), "PORT 1001");
  EXPECT_EQ(session.Answer("RETURN"), "ERR missing port");
  EXPECT_EQ(session.Answer("RETURN x"), "ERR invalid port");
  EXPECT_EQ(session.Answer("RETURN 70000"), "ERR invalid port");
  EXPECT_EQ(session.Answer("RETURN 1001"), "OK");
  EXPECT_EQ(session.Answer("ALLOC"), "PORT 1001");
  EXPECT_EQ(session.Answer("HELLO there"), "ERR unknown command: HELLO");
}

TEST(PortPoolSession, ReturnsOnlyWhatItHolds) {
  PortPool pool([]() -> Result<std::uint16_t> { return 1000; });
  PortPoolSession one(pool);
  PortPoolSession other(pool);
  EXPECT_EQ(one.Answer("ALLOC"), "PORT 1000");
  EXPECT_EQ(other.Answer("RETURN 1000"), "OK");
  EXPECT_EQ(other.Answer("ALLOC"), "ERR port collision, retry");
}

std::string SocketPath() {
  return fmt::format("/tmp/multigres-portpool-test-{}.sock", ::getpid());
}

TEST(PortPoolServer, FreesThePortsOfAClientThatGoes) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    PortPoolServer server(reactor);
    EXPECT_TRUE(server.Listen(SocketPath()));
    auto client = co_await PortPoolClient::Open(reactor, SocketPath(), Logger());
    EXPECT_TRUE(client->UsesServer());
    auto first = co_await client->Allocate();
    auto second = co_await client->Allocate();
    EXPECT_TRUE(first && second);
    EXPECT_NE(*first, *second);
    EXPECT_EQ(server.allocated(), 2u);
    auto returned = co_await client->Return(*first);
    EXPECT_TRUE(returned);
    EXPECT_EQ(server.allocated(), 1u);
    client.reset();
    const Deadline limit = reactor.clock().After(5s);
    while (server.allocated() > 0 && !limit.Passed(reactor.clock().Now())) {
      co_await SleepFor(reactor.clock(), 1ms);
    }
    EXPECT_EQ(server.allocated(), 0u);
    co_await server.Close();
    EXPECT_NE(::access(SocketPath().c_str(), F_OK), 0);
  }(reactor));
}

TEST(PortPoolClient, FindsPortsItselfWithoutAServer) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    auto client = co_await PortPoolClient::Open(reactor, "", Logger());
    EXPECT_FALSE(client->UsesServer());
    auto port = co_await client->Allocate();
    EXPECT_TRUE(port && *port > 0);
    auto returned = co_await client->Return(*port);
    EXPECT_TRUE(returned);
  }(reactor));
}

}  // namespace
}  // namespace multigres::portpool
