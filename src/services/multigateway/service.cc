#include "services/multigateway/service.h"

#include "common/auth/scram_verifier.h"
#include "multigatewayservice.pb.h"
#include "tools/net/tls.h"

namespace multigres::gateway {

namespace {

constexpr std::size_t kMockSecretBytes = 32;

Result<std::shared_ptr<TlsContext>> LoadTls(const Config& config) {
  if (config.pg_tls_cert_file.empty() != config.pg_tls_key_file.empty()) {
    return Fail(Code::kInvalidArgument, "--pg-tls-cert-file and --pg-tls-key-file go together");
  }
  if (config.pg_tls_cert_file.empty()) {
    if (config.pg_require_ssl) {
      return Fail(Code::kInvalidArgument, "--pg-require-ssl needs --pg-tls-cert-file and --pg-tls-key-file");
    }
    return nullptr;
  }
  return TlsContext::Server(
      {.files = {.cert = config.pg_tls_cert_file, .key = config.pg_tls_key_file, .ca = {}}, .alpn = {"postgresql"}});
}

Duration AuthenticationTimeout(Duration configured) {
  if (configured == Duration::zero()) return std::chrono::minutes(1);
  return std::max(configured, Duration::zero());
}

Result<> Validate(const Config& config) {
  auto buffer = buffer::Validate(config.buffer);
  if (!buffer) return buffer;
  const auto positive = [](std::string_view flag, Duration value) -> Result<> {
    if (value > Duration::zero()) return {};
    return Fail(Code::kInvalidArgument, fmt::format("--{} must be positive", flag));
  };
  for (const auto& [flag, value] :
       {std::pair<std::string_view, Duration>{"pooler-health-reconnect-base", config.health_reconnect_base},
        {"pooler-connect-timeout", config.pooler_connect_timeout},
        {"pooler-reconnect-max", config.pooler_reconnect_max},
        {"pooler-keepalive-timeout", config.pooler_keepalive_timeout},
        {"superseded-leader-grace", config.superseded_leader_grace}}) {
    auto valid = positive(flag, value);
    if (!valid) return valid;
  }
  if (config.health_reconnect_max < config.health_reconnect_base) {
    return Fail(Code::kInvalidArgument,
                "--pooler-health-reconnect-max must not be below --pooler-health-reconnect-base");
  }
  return {};
}

rpc::ChannelOptions PoolerChannel(const Config& config, rpc::ChannelOptions channel) {
  channel.connect_timeout = config.pooler_connect_timeout;
  channel.backoff_base = std::min(channel.backoff_base, config.pooler_reconnect_max);
  channel.backoff_max = config.pooler_reconnect_max;
  channel.keepalive_timeout = config.pooler_keepalive_timeout;
  return channel;
}

FrontEnd::Options FrontEndOptions(const Config& config, std::size_t reactors, rpc::ChannelOptions channel,
                                  std::shared_ptr<TlsContext> tls, std::string mock_secret) {
  FrontEnd::Options options;
  options.poolers.load_balancer.local_cell = config.cell;
  options.poolers.load_balancer.low_replication_lag = std::chrono::milliseconds(config.low_replication_lag_ms);
  options.poolers.load_balancer.high_replication_lag_tolerance =
      std::chrono::milliseconds(config.high_replication_lag_tolerance_ms);
  options.poolers.channel = std::move(channel);
  options.poolers.superseded_leader_grace = config.superseded_leader_grace;
  options.buffer = config.buffer;
  options.sessions.startup = {.tls = std::move(tls), .require_tls = config.pg_require_ssl};
  options.sessions.authentication_timeout = AuthenticationTimeout(config.authentication_timeout);
  options.sessions.statement_timeout_ms = static_cast<std::int32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(config.statement_timeout).count());
  options.sessions.mock_secret = std::move(mock_secret);
  options.plan_cache_bytes = config.plan_cache_memory / reactors;
  return options;
}

Awaitable<Result<>> ListenOn(FrontEnd& front_end, Address address, bool target_replica) {
  co_return front_end.Listen(address, target_replica);
}

Awaitable<void> StopOn(FrontEnd& front_end) {
  return front_end.Stop();
}

std::string_view ServingName(poolergateway::Serving serving) {
  switch (serving) {
    case poolergateway::Serving::kServing:
      return "serving";
    case poolergateway::Serving::kDraining:
      return "draining";
    case poolergateway::Serving::kDisabled:
      return "disabled";
  }
  return "unknown";
}

}  // namespace

Result<std::unique_ptr<Service>> Service::Create(Config config, std::span<Reactor* const> reactors, topo::Store& store,
                                                 rpc::ChannelOptions pooler_channel, Metrics& metrics, Logger logger) {
  auto valid = Validate(config);
  if (!valid) return std::unexpected(std::move(valid.error()));
  auto tls = LoadTls(config);
  if (!tls) return std::unexpected(std::move(tls.error()));
  auto channel = PoolerChannel(config, std::move(pooler_channel));
  return std::unique_ptr<Service>(
      new Service(std::move(config), reactors, store, std::move(channel), std::move(*tls), metrics, std::move(logger)));
}

Service::Service(Config config, std::span<Reactor* const> reactors, topo::Store& store,
                 rpc::ChannelOptions pooler_channel, std::shared_ptr<TlsContext> tls, Metrics& metrics, Logger logger)
    : config_(std::move(config)),
      store_(store),
      logger_(logger),
      router_(registry_, store, pooler_channel),
      buffer_metrics_(metrics) {
  auto buffer_capacity = std::make_shared<buffer::BufferCapacity>(config_.buffer.size);
  const std::string mock_secret = multigres::auth::RandomBytes(kMockSecretBytes);
  std::vector<poolergateway::PoolerDirectory::Subscriber> subscribers;
  for (Reactor* reactor : reactors) {
    auto route = [this, reactor](listener::CancelRequest request) { return RouteCancel(*reactor, std::move(request)); };
    auto options = FrontEndOptions(config_, reactors.size(), pooler_channel, tls, mock_secret);
    options.buffer_capacity = buffer_capacity;
    options.buffer_metrics = &buffer_metrics_;
    front_ends_.push_back(
        std::make_unique<FrontEnd>(*reactor, std::move(options), registry_, std::move(route), logger));
    subscribers.push_back({reactor, &front_ends_.back()->poolers()});
  }
  const poolergateway::HealthMonitorOptions health{.backoff_base = config_.health_reconnect_base,
                                                   .backoff_max = config_.health_reconnect_max};
  directory_ = std::make_unique<poolergateway::PoolerDirectory>(store.reactor(), std::move(subscribers),
                                                                std::move(pooler_channel), health, logger);
  discovery_ = std::make_unique<topo::PoolerDiscovery>(store, *directory_);
}

Service::~Service() = default;

Awaitable<void> Service::RouteCancel(Reactor& reactor, listener::CancelRequest request) {
  co_await RunOn<void>(reactor, store_.reactor(), [this, request = std::move(request)]() mutable {
    return router_.Route(request.process_id, std::move(request.secret_key), false);
  });
}

Awaitable<Result<>> Service::Start(clustermetadata::MultiGateway record) {
  discovery_->Start();
  auto registered = co_await topo::RegisterGateway(store_, {}, std::move(record));
  if (!registered) {
    registration_error_ = "Failed to register component with topology: " + registered.error().message();
    co_return Fail(std::move(registered), "register with topology");
  }
  registered_ = std::make_unique<topo::GatewayKeeper>(store_, std::move(*registered));
  registry_.SetPrefix(registered_->gateway().pid_prefix());
  logger_.Info("registered", {{"pid_prefix", registered_->gateway().pid_prefix()}});
  co_return co_await ListenAll();
}

Awaitable<Result<>> Service::ListenAll() {
  const auto listen = [this](std::uint16_t port, bool target_replica) -> Awaitable<Result<>> {
    for (auto& front_end : front_ends_) {
      const Address address = TcpAddress{config_.pg_bind_address, port};
      auto listening = co_await RunOn<Result<>>(
          store_.reactor(), front_end->reactor(),
          [&front_end = *front_end, address, target_replica] { return ListenOn(front_end, address, target_replica); });
      if (!listening) co_return listening;
    }
    co_return Result<>{};
  };
  auto listening = co_await listen(config_.pg_port, false);
  if (listening && config_.pg_replica_port != 0) listening = co_await listen(config_.pg_replica_port, true);
  co_return listening;
}

Awaitable<void> Service::Drain(Deadline deadline) {
  if (const auto keeper = std::exchange(registered_, nullptr)) {
    auto removed = co_await keeper->Stop();
    if (!removed) logger_.Warn("not unregistered", {{"error", removed.error()}});
  }
  TaskGroup drains(store_.reactor().executor());
  for (auto& front_end : front_ends_) {
    const auto drain = [](Service& self, FrontEnd& front_end, Deadline deadline) -> Awaitable<void> {
      co_await RunOn<void>(self.store_.reactor(), front_end.reactor(),
                           [&front_end, deadline] { return front_end.Drain(deadline); });
    };
    drains.Spawn("drain", drain(*this, *front_end, deadline));
  }
  co_await drains.Join();
}

Awaitable<void> Service::Stop() {
  co_await asio::this_coro::reset_cancellation_state();
  // Still there if it never came to a drain: Start() failed.
  if (registered_) (void)co_await registered_->Stop();
  for (auto& front_end : front_ends_) {
    co_await RunOn<void>(store_.reactor(), front_end->reactor(),
                         [&front_end = *front_end] { return StopOn(front_end); });
  }
  co_await discovery_->Stop();
  co_await directory_->Stop();
}

Result<> Service::CheckReady() const {
  if (!registered_) return Fail(Code::kUnavailable, "not registered with topology");
  if (directory_->poolers().empty()) return Fail(Code::kUnavailable, "no pooler is known");
  return {};
}

std::string Service::InitializationStatus() const {
  if (!registration_error_.empty()) return registration_error_;
  return registered_ ? "" : "Starting";
}

std::vector<servenv::StatusTable> Service::StatusTables() const {
  std::map<std::string, servenv::StatusTable> by_cell;
  for (const auto& [id, entry] : directory_->poolers()) {
    auto& table = by_cell[entry.record.cell];
    table.title = "Poolers in Cell: " + entry.record.cell;
    table.columns = {"Name", "Database", "Leadership", "Lifecycle"};
    const std::string leadership =
        entry.health.primary
            ? fmt::format("leader {}.{}", entry.health.rule.coordinator_term, entry.health.rule.leader_subterm)
            : "follower";
    const std::string lifecycle =
        entry.health.live ? std::string(ServingName(entry.health.serving)) : "no health stream";
    table.rows.push_back({id, entry.record.database, leadership, lifecycle});
  }
  std::vector<servenv::StatusTable> tables;
  tables.reserve(by_cell.size());
  for (auto& [cell, table] : by_cell) tables.push_back(std::move(table));
  return tables;
}

Awaitable<Result<multigatewayservice::CancelQueryResponse>> Service::CancelQuery(
    rpc::ServerContext& context, const multigatewayservice::CancelQueryRequest& request) {
  // Nobody learns whether the key was right.
  (void)co_await registry_.Cancel(context.reactor(), request.process_id(), request.secret_key());
  co_return multigatewayservice::CancelQueryResponse();
}

}  // namespace multigres::gateway
