// portpoolserver: hands out TCP ports to test programs, so that no two get the same.

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "common/portpool/port_pool_server.h"

namespace multigres::portpool {
namespace {

Awaitable<void> Serve(Reactor& reactor, std::string socket, int& exit_code) {
  asio::signal_set signals(reactor.io(), SIGINT, SIGTERM);
  Event stop;
  signals.async_wait([&stop](boost::system::error_code error, int) {
    if (!error) stop.Set();
  });
  PortPoolServer server(reactor);
  if (auto listening = server.Listen(socket); !listening) {
    std::fprintf(stderr, "Error: %s\n", listening.error().message().c_str());
    exit_code = 1;
    co_return;
  }
  std::printf("%s\n", socket.c_str());
  std::fflush(stdout);
  co_await stop.Wait();
  co_await server.Close();
}

}  // namespace
}  // namespace multigres::portpool

int main(int argc, char** argv) {
  std::string socket = "/tmp/multigres-port-pool.sock";
  CLI::App app("hands out TCP ports to test programs", "portpoolserver");
  app.add_option("--socket", socket, "path of the unix socket")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  multigres::Reactor reactor;
  int exit_code = 0;
  multigres::RunOnReactor(reactor, multigres::portpool::Serve(reactor, socket, exit_code));
  return exit_code;
}
