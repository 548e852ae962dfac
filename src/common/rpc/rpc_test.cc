#include <gtest/gtest.h>

#include "common/rpc/test_peer.h"

namespace multigres::rpc {
namespace {

using namespace std::chrono_literals;

enum class Transport { kTcp, kUnix };
struct Setup {
  Transport transport;
  bool own_reactor;  // the server's
};

// Runs `body(fixture)` on the client's reactor against a started server.
class Rpc : public testing::TestWithParam<Setup> {
 public:
  template <class Body>
  void Run(Body body) {
    Reactor reactor;
    ReactorPool pool(GetParam().own_reactor ? 2 : 1);
    std::vector<Reactor*> reactors;
    reactors.push_back(GetParam().own_reactor ? &pool[0] : &reactor);
    if (GetParam().own_reactor) reactors.push_back(&pool[1]);
    server_ = Server::Create(reactors, server_options_);
    server_->Register(service_);
    home_ = reactors[0];
    reactor_ = &reactor;
    RunOnReactor(reactor, Main(body));
    channel_.reset();
    server_.reset();
  }

  Awaitable<void> StopServer(Duration grace = 5s) {
    if (stopped_) co_return;
    stopped_ = true;
    Server* server = server_.get();
    const Deadline deadline = home_->clock().After(grace);
    co_await RunOn<void>(*reactor_, *home_, [=] { return server->Stop(deadline); });
  }

  Awaitable<Result<StringValue>> Echo(std::string text, CallOptions options = {}) {
    StringValue request;
    request.set_value(std::move(text));
    StringValue response;
    auto done = co_await CallUnary(*channel_, kEcho, request, response, std::move(options));
    if (!done) co_return std::unexpected(done.error());
    co_return response;
  }

  Clock& clock() { return reactor_->clock(); }

  ServerOptions server_options_;
  ChannelOptions channel_options_;
  TestService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Channel> channel_;
  Address address_;
  Reactor* reactor_ = nullptr;
  Reactor* home_ = nullptr;
  bool stopped_ = false;

 private:
  template <class Body>
  Awaitable<void> Main(Body& body) {
    TempDir dir;
    address_ = TcpAddress{"127.0.0.1", 0};
    if (GetParam().transport == Transport::kUnix) address_ = UnixAddress{dir.path + "/socket"};
    Server* server = server_.get();
    const Address address = address_;
    auto listen = [](Server* server, Address address) -> Awaitable<Result<std::uint16_t>> {
      co_return server->Listen(address);
    };
    auto port = co_await RunOn<Result<std::uint16_t>>(*reactor_, *home_, [=] { return listen(server, address); });
    EXPECT_TRUE(port) << port.error().ToString();
    if (auto* tcp = std::get_if<TcpAddress>(&address_)) tcp->port = *port;
    channel_ = Channel::Create(*reactor_, address_, channel_options_);
    co_await body(*this);
    co_await channel_->Close();
    co_await StopServer();
  }
};

const Setup kSetups[] = {
    {Transport::kTcp, false}, {Transport::kUnix, false}, {Transport::kTcp, true}, {Transport::kUnix, true}};
std::string SetupName(const testing::TestParamInfo<Setup>& info) {
  return std::string(info.param.transport == Transport::kTcp ? "Tcp" : "Unix") +
         (info.param.own_reactor ? "ManyReactors" : "OneReactor");
}

INSTANTIATE_TEST_SUITE_P(All, Rpc, testing::ValuesIn(kSetups), SetupName);

TEST_P(Rpc, UnaryCallEchoes) {
  Run([](Rpc& t) -> Awaitable<void> {
    auto response = co_await t.Echo("hello");
    EXPECT_TRUE(response) << response.error().ToString();
    if (response) {
      EXPECT_EQ(response->value(), "hello");
    }
    EXPECT_TRUE(t.channel_->IsReady());
  });
}

TEST_P(Rpc, ServerStreamArrivesInWhole) {
  Run([](Rpc& t) -> Awaitable<void> {
    auto call = t.channel_->StartCall(kStream, {});
    StringValue request;
    request.set_value("1000 1000");
    call->WriteLast(request);
    int count = 0;
    BytesValue message;
    while (true) {
      auto read = co_await call->Read(message);
      EXPECT_TRUE(read) << read.error().ToString();
      if (!read || !*read) break;
      EXPECT_EQ(message.value().size(), 1000u);
      ++count;
    }
    EXPECT_EQ(count, 1000);
  });
}

}  // namespace
}  // namespace multigres::rpc
