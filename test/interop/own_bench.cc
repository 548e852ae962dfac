// The benchmark's two sides on our runtime.
#include <unistd.h>

#include "bench_side.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "multipoolerservice.rpc.h"
#include "tools/async/task_group.h"
#include "tools/result/check.h"

namespace multigres::interop {
namespace {

using namespace ::multipoolerservice;  // NOLINT: the messages of one service

class Service final : public ::multipoolerservice::rpc::MultiPoolerService {
 public:
  Awaitable<Result<ExecuteQueryResponse>> ExecuteQuery(multigres::rpc::ServerContext& /*context*/,
                                                       const ExecuteQueryRequest& /*request*/) override {
    co_return unary_;
  }
  Awaitable<Result<>> StreamExecute(multigres::rpc::ServerContext& /*context*/, const StreamExecuteRequest& /*request*/,
                                    multigres::rpc::ServerWriter<StreamExecuteResponse>& writer) override {
    co_return co_await writer.Write(stream_);
  }

 private:
  const ExecuteQueryResponse unary_ = SampleUnaryResponse();
  const StreamExecuteResponse stream_ = SampleStreamResponse();
};

struct Progress {
  bool over = false;
  std::uint64_t calls = 0;
};

Awaitable<void> CallUnaries(rpc::Channel& channel, Progress& progress) {
  ::multipoolerservice::rpc::MultiPoolerServiceClient client(channel);
  const ExecuteQueryRequest request = SampleUnaryRequest();
  while (!progress.over) {
    const auto response = co_await client.ExecuteQuery(request);
    CHECK(response.has_value(), response.error().ToString());
    ++progress.calls;
  }
}

Awaitable<void> CallStreams(rpc::Channel& channel, Progress& progress) {
  ::multipoolerservice::rpc::MultiPoolerServiceClient client(channel);
  const StreamExecuteRequest request = SampleStreamRequest();
  StreamExecuteResponse response;
  while (!progress.over) {
    auto reader = client.StreamExecute(request);
    for (;;) {
      const Result<bool> read = co_await reader.Read(response);
      CHECK(read.has_value(), read.error().ToString());
      if (!*read) break;
    }
    ++progress.calls;
  }
}

Awaitable<void> Drive(Reactor& reactor, std::uint16_t port, pid_t server, const Load& load, Cost& cost) {
  const auto channel = rpc::Channel::Create(reactor, TcpAddress{"127.0.0.1", port});
  Progress warm_up;
  TaskGroup calls(reactor.executor());
  const Timer warm_up_timer =
      reactor.clock().Schedule(std::chrono::milliseconds(50), [&warm_up] { warm_up.over = true; });
  for (int i = 0; i < load.in_flight; ++i) calls.Spawn("warm-up", CallStreams(*channel, warm_up));
  co_await calls.Join();

  Progress progress;
  Meter meter(server);
  meter.Start();
  const Timer timer = reactor.clock().Schedule(load.duration, [&progress] { progress.over = true; });
  for (int i = 0; i < load.in_flight; ++i) {
    calls.Spawn("calls",
                load.shape == Shape::kUnary ? CallUnaries(*channel, progress) : CallStreams(*channel, progress));
  }
  co_await calls.Join();
  cost = meter.Stop(progress.calls);
  co_await channel->Close();
}

Awaitable<void> Serve(Reactor& reactor, int port_fd) {
  Service service;
  const auto server = rpc::Server::Create({&reactor});
  server->Register(service);
  const Result<std::uint16_t> port = server->Listen(TcpAddress{"127.0.0.1", 0});
  CHECK(port.has_value(), port.error().ToString());
  const std::string text = std::to_string(*port) + "\n";
  CHECK(write(port_fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  Event never;
  co_await never.Wait();
}

}  // namespace

void ServeOwn(int port_fd) {
  Reactor reactor;
  RunOnReactor(reactor, Serve(reactor, port_fd));
}

Cost RunOwn(std::uint16_t port, pid_t server, const Load& load) {
  Cost cost;
  Reactor reactor;
  RunOnReactor(reactor, Drive(reactor, port, server, load, cost));
  return cost;
}

}  // namespace multigres::interop
