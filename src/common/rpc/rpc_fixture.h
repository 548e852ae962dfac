// For the tests of this folder: a channel and a server of TestService, over each transport, on one reactor and on more.
#pragma once

#include <gtest/gtest.h>

#include "common/rpc/test_peer.h"

namespace multigres::rpc {

enum class Transport : std::uint8_t { kTcp, kUnix };
struct Setup {
  Transport transport;
  bool own_reactors;  // two, for the server alone
};
inline constexpr Setup kSetups[] = {
    {Transport::kTcp, false}, {Transport::kUnix, false}, {Transport::kTcp, true}, {Transport::kUnix, true}};
inline std::string SetupName(const testing::TestParamInfo<Setup>& info) {
  return std::string(info.param.transport == Transport::kTcp ? "Tcp" : "Unix") +
         (info.param.own_reactors ? "ManyReactors" : "OneReactor");
}

class RpcFixture : public testing::TestWithParam<Setup> {
 public:
  // Runs `body(*this)`, an Awaitable<void>, on the client's reactor while the server listens.
  template <class Body>
  void Run(Body body) {
    const bool own = GetParam().own_reactors;
    Reactor reactor;
    ReactorPool pool(own ? 2 : 1);
    std::vector<Reactor*> reactors = {own ? &pool[0] : &reactor};
    if (own) reactors.push_back(&pool[1]);
    home_ = reactors[0];
    reactor_ = &reactor;
    server_ = Server::Create(reactors, server_options_);
    server_->Register(service_);
    RunOnReactor(reactor, Main(body));
    channel_.reset();
    server_.reset();
  }

  Awaitable<void> StopServer(Duration grace = std::chrono::seconds(5)) {
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

  // Starts Stream() for `count` messages of `size` bytes.
  std::unique_ptr<ClientCall> StartStream(int count, std::size_t size) {
    auto call = channel_->StartCall(kStream, {});
    StringValue request;
    request.set_value(std::to_string(count) + " " + std::to_string(size));
    call->WriteLast(request);
    return call;
  }
  static Awaitable<Result<int>> CountMessages(ClientCall& call) {
    BytesValue message;
    for (int count = 0;; ++count) {
      auto read = co_await call.Read(message);
      if (!read) co_return std::unexpected(std::move(read.error()));
      if (!*read) co_return count;
    }
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
    auto listen = [](Server* server, Address address) -> Awaitable<Result<std::uint16_t>> {
      co_return server->Listen(address);
    };
    const Address address = address_;
    auto port = co_await RunOn<Result<std::uint16_t>>(*reactor_, *home_, [=] { return listen(server, address); });
    EXPECT_TRUE(port) << port.error().ToString();
    if (auto* tcp = std::get_if<TcpAddress>(&address_)) tcp->port = *port;
    channel_ = Channel::Create(*reactor_, address_, channel_options_);
    co_await body(*this);
    co_await channel_->Close();
    co_await StopServer();
  }
};

}  // namespace multigres::rpc
