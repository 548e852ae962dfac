#include "services/multigateway/front_end.h"

namespace multigres::gateway {

namespace {

constexpr Duration kPollInterval = std::chrono::milliseconds(10);

handler::SessionConfig ForPort(handler::SessionConfig config, bool target_replica) {
  config.target_replica = target_replica;
  return config;
}

}  // namespace

FrontEnd::FrontEnd(Reactor& reactor, Options options, cancel::CancelRegistry& registry,
                   std::function<Awaitable<void>(listener::CancelRequest)> route_cancel, Logger logger)
    : reactor_(reactor),
      poolers_(reactor, std::move(options.poolers)),
      scatter_conn_(poolers_),
      executor_(scatter_conn_, reactor.clock(), options.plan_cache_bytes),
      credentials_(reactor, poolers_),
      primary_(reactor, ForPort(options.sessions, false), credentials_, executor_, registry, route_cancel, logger),
      replica_(reactor, ForPort(options.sessions, true), credentials_, executor_, registry, route_cancel, logger),
      acceptors_(reactor.executor()),
      clients_(reactor.executor()) {}

FrontEnd::~FrontEnd() = default;

Result<> FrontEnd::Listen(const Address& address, bool target_replica) {
  auto listener = Listener::Open(reactor_, address, {.reuse_port = true});
  if (!listener) return std::unexpected(std::move(listener.error()));
  acceptors_.Spawn("postgres listener", Accept(**listener, target_replica ? replica_ : primary_));
  listeners_.push_back(std::move(*listener));
  return {};
}

Awaitable<void> FrontEnd::Accept(Listener& listener, handler::ClientSessions& sessions) {
  while (true) {
    auto stream = co_await listener.Accept();
    if (!stream) co_return;
    clients_.Spawn("client", sessions.Serve(std::move(*stream)));
  }
}

Awaitable<void> FrontEnd::Drain(Deadline deadline) {
  for (auto& listener : listeners_) listener->Close();
  primary_.Shutdown();
  replica_.Shutdown();
  while (clients() > 0 && !deadline.Passed(reactor_.clock().Now())) {
    co_await SleepFor(reactor_.clock(), kPollInterval);
  }
  primary_.Abort();
  replica_.Abort();
}

Awaitable<void> FrontEnd::Stop() {
  co_await asio::this_coro::reset_cancellation_state();
  for (auto& listener : listeners_) listener->Close();
  co_await acceptors_.CancelAndJoin();
  primary_.Shutdown();
  replica_.Shutdown();
  primary_.Abort();
  replica_.Abort();
  // Sessions give back what they hold, for at most five seconds.
  co_await clients_.Join();
  co_await poolers_.Stop();
}

}  // namespace multigres::gateway
