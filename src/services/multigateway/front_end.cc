#include "services/multigateway/front_end.h"

namespace multigres::gateway {

namespace {

constexpr Duration kPollInterval = std::chrono::milliseconds(10);

handler::SessionConfig ForPort(handler::SessionConfig config, bool target_replica) {
  config.target_replica = target_replica;
  return config;
}

std::shared_ptr<buffer::BufferCapacity> CapacityOf(const FrontEnd::Options& options) {
  if (options.buffer_capacity != nullptr) return options.buffer_capacity;
  return std::make_shared<buffer::BufferCapacity>(options.buffer.size);
}

// The inverse of buffer::ShardName().
poolergateway::ShardTarget TargetOf(std::string_view shard_name) {
  const auto first = shard_name.find('/');
  const auto second = shard_name.find('/', first + 1);
  return {.database = shard_name.substr(second + 1),
          .table_group = shard_name.substr(0, first),
          .shard = shard_name.substr(first + 1, second - first - 1)};
}

}  // namespace

FrontEnd::FrontEnd(Reactor& reactor, Options options, cancel::CancelRegistry& registry,
                   std::function<Awaitable<void>(listener::CancelRequest)> route_cancel, Logger logger)
    : reactor_(reactor),
      poolers_(reactor, std::move(options.poolers)),
      buffer_capacity_(CapacityOf(options)),
      buffer_(reactor.clock(), options.buffer, *buffer_capacity_, options.buffer_metrics,
              [this](std::string_view shard) { return poolers_.load_balancer().LeaderServes(TargetOf(shard)); }),
      scatter_conn_(poolers_, buffer_, reactor.clock()),
      executor_(scatter_conn_, reactor.clock(), options.plan_cache_bytes),
      credentials_(reactor, poolers_, buffer_),
      primary_(reactor, ForPort(options.sessions, false), credentials_, executor_, registry, route_cancel, logger),
      replica_(reactor, ForPort(options.sessions, true), credentials_, executor_, registry, route_cancel, logger),
      acceptors_(reactor.executor()),
      clients_(reactor.executor()) {
  poolers_.set_leader_listener([this](const poolergateway::ShardTarget& shard) {
    buffer_.LeaderServes(buffer::ShardName(shard.database, shard.table_group, shard.shard));
  });
}

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
  buffer_.ShutDown();
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
  buffer_.ShutDown();
  primary_.Shutdown();
  replica_.Shutdown();
  primary_.Abort();
  replica_.Abort();
  // Sessions give back what they hold, for at most five seconds.
  co_await clients_.Join();
  co_await poolers_.Stop();
}

}  // namespace multigres::gateway
