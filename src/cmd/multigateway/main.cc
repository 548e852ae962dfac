// multigateway: accepts PostgreSQL clients and routes their statements to multipoolers.
#include <memory>

#include "clustermetadata.pb.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/servenv/program.h"
#include "common/topoclient/names.h"
#include "common/topoclient/store.h"
#include "services/multigateway/service.h"

namespace multigres::gateway {
namespace {

class GatewayProgram final : public servenv::Program {
 public:
  servenv::ProgramInfo info() const override {
    return {.name = "multigateway",
            .title = "Multigateway",
            .description = "Accepts PostgreSQL clients and routes their statements to multipoolers.",
            .default_reactors = 0};
  }

  void RegisterFlags(servenv::FlagSet& flags) override {
    flags.SetEnvPrefix("MT_");
    flags.Add("cell", &config_.cell, "cell that this instance runs in", {.required = true});
    flags.Add("service-id", &config_.service_id, "name within the cell (random if empty)");
    flags.Add("pg-port", &config_.pg_port, "port for PostgreSQL clients that read and write");
    flags.Add("pg-replica-port", &config_.pg_replica_port, "port for clients that only read, on standbys (0 = none)");
    flags.Add("pg-bind-address", &config_.pg_bind_address, "address of both ports");
    flags.Add("pg-tls-cert-file", &config_.pg_tls_cert_file, "certificate shown to clients (PEM)");
    flags.Add("pg-tls-key-file", &config_.pg_tls_key_file, "its key (PEM)");
    flags.Add("pg-require-ssl", &config_.pg_require_ssl, "refuse clients that don't encrypt");
    flags.Add("authentication-timeout", &config_.authentication_timeout,
              "how long a client may take to log in (0 = a minute, negative = for ever)");
    flags.Add("statement-timeout", &config_.statement_timeout,
              "default statement_timeout of sessions (0 = the server's own)");
    flags.Add("plan-cache-memory", &config_.plan_cache_memory, "bytes for cached plans (0 = none)");
    flags.Add("low-replication-lag-ms", &config_.low_replication_lag_ms, "replicas that lag more are used last");
    flags.Add("high-replication-lag-tolerance-ms", &config_.high_replication_lag_tolerance_ms,
              "replicas that lag more aren't used (0 = no limit)");
    RegisterFailoverFlags(flags);
    servenv::RegisterTopoFlags(flags, &topo_flags_);
    servenv::RegisterPoolerClientFlags(flags, &client_flags_);
  }

  Awaitable<Result<>> Init(servenv::Environment& env) override {
    env_ = &env;
    auto cell = topo::ValidateCellName(config_.cell);
    if (!cell) co_return Fail(std::move(cell), "--cell");
    auto client_flags = servenv::Validate(client_flags_);
    if (!client_flags) co_return client_flags;
    if (config_.service_id.empty()) config_.service_id = RandomId(env.random());
    auto store = servenv::OpenTopology(env, topo_flags_);
    if (!store) co_return std::unexpected(std::move(store.error()));
    store_ = std::move(*store);
    auto service = Service::Create(config_, env.reactors(), *store_, servenv::PoolerChannelOptions(client_flags_),
                                   env.metrics(), env.logger());
    if (!service) co_return std::unexpected(std::move(service.error()));
    service_ = std::move(*service);
    env.grpc().Register(*service_);
    env.status_page().AddRow("Local Cell", config_.cell);
    env.status_page().AddRow("Service ID", config_.service_id);
    env.status_page().AddInitialization([this] { return service_->InitializationStatus(); });
    env.status_page().AddTables([this] { return service_->StatusTables(); });
    clients_ = env.metrics().Observe(
        MetricKind::kGauge, {.name = "mg.gateway.client.connections", .help = "Client sessions"},
        [this] { return std::vector<Metrics::Sample>{{{}, static_cast<double>(service_->sessions())}}; });
    co_return Result<>{};
  }

  Awaitable<Result<>> OnRun() override {
    clustermetadata::MultiGateway record;
    record.mutable_id()->set_component(clustermetadata::ID::MULTIGATEWAY);
    record.mutable_id()->set_cell(config_.cell);
    record.mutable_id()->set_name(config_.service_id);
    record.set_hostname(env_->hostname());
    auto& ports = *record.mutable_port_map();
    if (env_->grpc_flags().port != 0) ports["grpc"] = env_->grpc_flags().port;
    ports["http"] = env_->http_port();
    ports["postgres"] = config_.pg_port;
    if (config_.pg_replica_port != 0) ports["postgres_replica"] = config_.pg_replica_port;
    return service_->Start(std::move(record));
  }

  Awaitable<Result<>> CheckReady() override { co_return service_->CheckReady(); }

  Awaitable<void> OnTerm() override { return service_->Drain(env_->reactor().clock().After(kDrainTime)); }

  Awaitable<void> OnClose() override {
    if (service_ != nullptr) co_await service_->Stop();
    if (store_ != nullptr) co_await store_->Close();
  }

 private:
  void RegisterFailoverFlags(servenv::FlagSet& flags) {
    flags.Add("buffer-enabled", &config_.buffer.enabled, "hold requests back while their shard has no leader");
    flags.Add("buffer-size", &config_.buffer.size, "requests held back at most, in all");
    flags.Add("buffer-window", &config_.buffer.window, "how long a request is held back at most");
    flags.Add("buffer-max-failover-duration", &config_.buffer.max_failover_duration,
              "how long a shard's requests are held back at most");
    flags.Add("buffer-min-time-between-failovers", &config_.buffer.min_time_between_failovers,
              "a failover that begins sooner after the last one fails its requests at once (0 = none does)");
    flags.Add("buffer-drain-concurrency", &config_.buffer.drain_concurrency,
              "held requests of a shard that are tried at the same time, per reactor");
    flags.Add("pooler-health-reconnect-base", &config_.health_reconnect_base,
              "first delay before an ended health stream is opened again (doubles, with full jitter)");
    flags.Add("pooler-health-reconnect-max", &config_.health_reconnect_max, "longest such delay");
    flags.Add("pooler-connect-timeout", &config_.pooler_connect_timeout, "how long connecting to a pooler may take");
    flags.Add("pooler-reconnect-max", &config_.pooler_reconnect_max, "longest delay between dials of a pooler");
    flags.Add("pooler-keepalive-timeout", &config_.pooler_keepalive_timeout,
              "how long a pooler may take to answer a ping before its calls fail");
    flags.Add("superseded-leader-grace", &config_.superseded_leader_grace,
              "how long a replaced leader may still answer what it was asked as the leader");
  }

  // What runs may finish within it.
  static constexpr Duration kDrainTime = std::chrono::seconds(10);

  Config config_;
  servenv::TopoFlags topo_flags_;
  servenv::PoolerClientFlags client_flags_;
  servenv::Environment* env_ = nullptr;
  std::unique_ptr<topo::Store> store_;
  std::unique_ptr<Service> service_;
  Metrics::Observer clients_;
};

}  // namespace
}  // namespace multigres::gateway

int main(int argc, char** argv) {
  multigres::gateway::GatewayProgram program;
  return multigres::servenv::RunProgram(argc, argv, program);
}
