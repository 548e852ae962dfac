#include "common/rpc/server.h"

#include <unistd.h>
#include <boost/intrusive/list.hpp>

#include "common/rpc/server_connection.h"
#include "common/rpc/service_registry.h"
#include "tools/async/event.h"
#include "tools/async/task_group.h"
#include "tools/net/tls.h"
#include "tools/result/check.h"

namespace multigres::rpc {

namespace {

constexpr Duration kHandshakeTimeout = std::chrono::seconds(10);
// After the deadline of Stop(): for cancelled calls to send their status, and then to return at all.
constexpr Duration kCancelGrace = std::chrono::seconds(1);

// The server's part on one reactor; touched on its thread only.
class Worker {
 public:
  Worker(Reactor& reactor, const ServiceRegistry& registry, const ServerOptions& options)
      : reactor_(reactor),
        registry_(registry),
        options_(options),
        handshakes_(reactor.executor()),
        tasks_(reactor.executor()) {}

  Reactor& reactor() { return reactor_; }

  // `tls` null = plain.
  void Adopt(int fd, std::shared_ptr<TlsContext> tls) {
    if (stopping_) {
      ::close(fd);
    } else if (tls == nullptr) {
      tasks_.Spawn("connection", Serve(Listener::Adopt(reactor_, fd)));
    } else {
      handshakes_.Spawn("handshake", Encrypt(Listener::Adopt(reactor_, fd), std::move(tls)));
    }
  }

  Awaitable<void> Stop(Deadline deadline) {
    stopping_ = true;
    co_await handshakes_.CancelAndJoin();
    for (auto& connection : connections_) connection.Drain();
    co_await WaitUntilEmpty(deadline);
    for (auto& connection : connections_) connection.CancelCalls(CancelReason::kShutdown);
    co_await WaitUntilEmpty(reactor_.clock().After(kCancelGrace));
    for (auto& connection : connections_) connection.Close(Error(Code::kUnavailable, "server is shutting down"));
    co_await WaitUntilEmpty(reactor_.clock().After(kCancelGrace));
    for (auto& connection : connections_) connection.AbandonCalls();
    co_await tasks_.Join();
  }

 private:
  Awaitable<void> Encrypt(std::unique_ptr<ByteStream> stream, std::shared_ptr<TlsContext> tls) {
    const Deadline deadline = reactor_.clock().After(kHandshakeTimeout);
    auto encrypted = co_await TlsAccept(reactor_, std::move(stream), std::move(tls), deadline);
    if (encrypted && !stopping_) tasks_.Spawn("connection", Serve(std::move(*encrypted)));
  }

  Awaitable<void> Serve(std::unique_ptr<ByteStream> stream) {
    ServerConnection connection(reactor_, std::move(stream), registry_, options_);
    connections_.push_back(connection);
    co_await connection.Run();
    connections_.erase(connections_.iterator_to(connection));
    if (connections_.empty()) empty_.Pulse();
  }

  Awaitable<void> WaitUntilEmpty(Deadline deadline) {
    while (!connections_.empty()) {
      if (!co_await empty_.WaitUntil(reactor_.clock(), deadline)) co_return;
    }
  }

  Reactor& reactor_;
  const ServiceRegistry& registry_;
  const ServerOptions& options_;
  bool stopping_ = false;
  boost::intrusive::list<ServerConnection, boost::intrusive::constant_time_size<false>> connections_;
  Event empty_;
  TaskGroup handshakes_;
  TaskGroup tasks_;
};

Awaitable<void> StopWorker(Reactor& here, Worker* worker, Deadline deadline) {
  co_await RunOn<void>(here, worker->reactor(), [worker, deadline] { return worker->Stop(deadline); });
}

class ServerImpl final : public Server {
 public:
  ServerImpl(std::vector<Reactor*> reactors, ServerOptions options)
      : home_(*reactors.at(0)), options_(std::move(options)), acceptors_(home_.executor()) {
    for (Reactor* reactor : reactors) workers_.push_back(std::make_unique<Worker>(*reactor, registry_, options_));
  }

  void Register(Service& service) override {
    CHECK(listeners_.empty(), "registered after Listen()");
    registry_.Add(service);
  }
  const std::vector<Service*>& services() const override { return registry_.services(); }

  Result<std::uint16_t> Listen(const Address& address) override {
    std::shared_ptr<TlsContext> tls;
    if (options_.tls && std::holds_alternative<TcpAddress>(address)) {
      const TlsOptions& files = *options_.tls;
      auto context = TlsContext::Server(
          {.files = {files.cert_file, files.key_file, files.ca_file}, .alpn = {"h2"}, .require_alpn = true});
      if (!context) return std::unexpected(std::move(context.error()));
      tls = std::move(*context);
    }
    auto listener = Listener::Open(home_, address);
    if (!listener) return std::unexpected(std::move(listener.error()));
    listeners_.push_back(std::move(*listener));
    acceptors_.Spawn("acceptor", Accept(listeners_.back().get(), std::move(tls)));
    return listeners_.back()->port();
  }

  Awaitable<void> Stop(Deadline deadline) override {
    for (auto& listener : listeners_) listener->Close();
    co_await acceptors_.Join();
    TaskGroup stops(home_.executor());
    for (auto& worker : workers_) stops.Spawn("stop", StopWorker(home_, worker.get(), deadline));
    co_await stops.Join();
  }

 private:
  Awaitable<void> Accept(Listener* listener, std::shared_ptr<TlsContext> tls) {
    while (true) {
      auto fd = co_await listener->AcceptFd();
      if (!fd) co_return;
      Worker* worker = workers_[next_worker_++ % workers_.size()].get();
      worker->reactor().Post([worker, fd = *fd, tls] { worker->Adopt(fd, tls); });
    }
  }

  Reactor& home_;
  const ServerOptions options_;
  ServiceRegistry registry_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::size_t next_worker_ = 0;
  std::vector<std::unique_ptr<Listener>> listeners_;
  TaskGroup acceptors_;
};

}  // namespace

std::unique_ptr<Server> Server::Create(std::vector<Reactor*> reactors, ServerOptions options) {
  return std::make_unique<ServerImpl>(std::move(reactors), std::move(options));
}

}  // namespace multigres::rpc
