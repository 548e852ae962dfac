// Calls per second and processor time per call, client and server on a thread each: `common_rpc_bench [seconds
// [load]]`.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "common/rpc/test_peer.h"

namespace multigres::rpc {
namespace {

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * time.tv_usec; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Load {
  std::string_view name;
  bool streaming;
  int in_flight;
  int messages;  // per stream
  std::size_t message_bytes;
};

struct Counters {
  std::int64_t calls = 0;
  std::int64_t bytes = 0;
};

Awaitable<void> Unary(Channel& channel, const Load& load, Deadline end, Counters& counters) {
  StringValue request;
  request.set_value(std::string(load.message_bytes, 'x'));
  StringValue response;
  while (!end.Passed(channel.reactor().clock().Now())) {
    auto done = co_await CallUnary(channel, kEcho, request, response, {});
    if (!done) std::abort();
    ++counters.calls;
    counters.bytes += static_cast<std::int64_t>(response.value().size());
  }
}

Awaitable<void> Streaming(Channel& channel, const Load& load, Deadline end, Counters& counters) {
  StringValue request;
  request.set_value(std::to_string(load.messages) + " " + std::to_string(load.message_bytes));
  BytesValue message;
  while (!end.Passed(channel.reactor().clock().Now())) {
    auto call = channel.StartCall(kStream, {});
    call->WriteLast(request);
    while (true) {
      auto read = co_await call->Read(message);
      if (!read) std::abort();
      if (!*read) break;
      counters.bytes += static_cast<std::int64_t>(message.value().size());
    }
    ++counters.calls;
  }
}

Awaitable<void> Measure(Reactor& here, Reactor& there, Address address, std::string_view transport,
                        std::string_view only, Duration time) {
  TestService service;
  auto server = Server::Create({&there});
  server->Register(service);
  Server* raw = server.get();
  auto listen = [](Server* server, Address address) -> Awaitable<std::uint16_t> {
    co_return server->Listen(address).value();
  };
  const std::uint16_t port =
      co_await RunOn<std::uint16_t>(here, there, [raw, listen, address] { return listen(raw, address); });
  if (auto* tcp = std::get_if<TcpAddress>(&address)) tcp->port = port;
  auto channel = Channel::Create(here, address);
  const Load loads[] = {
      {"unary", false, 1, 1, 100},      {"unary", false, 16, 1, 100},      {"unary", false, 64, 1, 100},
      {"stream of 1", true, 1, 1, 100}, {"stream of 1", true, 64, 1, 100}, {"stream of 1000", true, 4, 1000, 100},
      {"large", true, 4, 10, 1 << 20},
  };
  for (const Load& load : loads) {
    if (!load.name.contains(only)) continue;
    Counters counters;
    const double cpu = CpuSeconds();
    const TimePoint begin = here.clock().Now();
    TaskGroup tasks(here.executor());
    for (int i = 0; i < load.in_flight; ++i) {
      const Deadline end = here.clock().After(time);
      tasks.Spawn("load",
                  load.streaming ? Streaming(*channel, load, end, counters) : Unary(*channel, load, end, counters));
    }
    co_await tasks.Join();
    const double seconds = std::chrono::duration<double>(here.clock().Now() - begin).count();
    const auto calls = static_cast<double>(counters.calls);
    fmt::print("{:<5} {:<15} {:>3} in flight: {:>9.0f} calls/s {:>7.2f} us CPU/call {:>8.1f} MB/s\n", transport,
               load.name, load.in_flight, calls / seconds, (CpuSeconds() - cpu) / calls * 1e6,
               static_cast<double>(counters.bytes) / seconds / 1e6);
    std::fflush(stdout);
  }
  co_await channel->Close();
  co_await RunOn<void>(here, there, [raw] { return raw->Stop(Deadline()); });
}

int Main(int argc, char** argv) {
  const auto time = std::chrono::milliseconds(argc > 1 ? static_cast<int>(std::atof(argv[1]) * 1000) : 2000);
  const std::string_view only = argc > 2 ? argv[2] : "";
  TempDir dir;
  ReactorPool pool(1);
  const std::pair<std::string_view, Address> transports[] = {{"unix", UnixAddress{dir.path + "/socket"}},
                                                             {"tcp", TcpAddress{"127.0.0.1", 0}}};
  for (const auto& [name, address] : transports) {
    Reactor reactor;
    RunOnReactor(reactor, Measure(reactor, pool[0], address, name, only, time));
  }
  return 0;
}

}  // namespace
}  // namespace multigres::rpc

int main(int argc, char** argv) {
  return multigres::rpc::Main(argc, argv);
}
