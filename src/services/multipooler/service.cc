#include "services/multipooler/service.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/names.h"
#include "services/multipooler/grpcpoolerservice/pooler_service.h"
#include "services/multipooler/grpcpoolerservice/statement_control.h"
#include "services/multipooler/manager/consensus_service.h"
#include "services/multipooler/manager/local_postgres.h"
#include "services/multipooler/manager/manager.h"
#include "services/multipooler/manager/manager_service.h"
#include "services/multipooler/manager/pgctld_process.h"

namespace multigres::pooler {

namespace {

constexpr Duration kDefaultStaleness = std::chrono::seconds(90);
constexpr Duration kStatsInterval = std::chrono::seconds(1);

clustermetadata::ID SelfOf(const Config& config) {
  clustermetadata::ID id;
  id.set_component(clustermetadata::ID::MULTIPOOLER);
  id.set_cell(config.cell);
  id.set_name(config.service_id);
  return id;
}

clustermetadata::ShardKey ShardOf(const Config& config) {
  clustermetadata::ShardKey shard;
  shard.set_database(config.database);
  shard.set_table_group(config.table_group);
  shard.set_shard(config.shard);
  return shard;
}

grpcpoolerservice::DataPathConfig DataPathConfigOf(const Config& config) {
  grpcpoolerservice::DataPathConfig data_path;
  data_path.pools.address = PostgresAddress(config);
  data_path.pools.database = config.database;
  data_path.pools.admin_user = config.admin_user;
  data_path.pools.admin_password = config.admin_password;
  data_path.pools.admin_capacity = config.admin_capacity;
  data_path.pools.global_capacity = config.global_capacity;
  data_path.pools.settings_cache_size = config.settings_cache_size;
  data_path.pools.idle_timeout = config.idle_timeout;
  data_path.pools.max_lifetime = config.max_lifetime;
  data_path.pools.inactive_timeout = config.inactive_timeout;
  data_path.pools.dial_timeout = config.dial_timeout;
  data_path.executor.reserved_inactivity_timeout = config.reserved_inactivity_timeout;
  data_path.shard = {config.database, config.table_group, config.shard};
  data_path.drain_grace = config.drain_grace_period;
  return data_path;
}

manager::ManagerConfig ManagerConfigOf(const Config& config, const Ports& ports) {
  manager::ManagerConfig manager;
  manager.id = SelfOf(config);
  manager.shard = ShardOf(config);
  manager.hostname = ports.hostname;
  manager.grpc_port = ports.grpc;
  manager.http_port = ports.http;
  manager.pg_port = config.pg_port;
  manager.pooler_dir = config.pooler_dir;
  manager.data_dir = config.data_dir;
  manager.pg_bin_dir = config.pg_bin_dir;
  manager.admin = {.address = PostgresAddress(config),
                   .user = config.admin_user,
                   .password = config.admin_password,
                   .database = config.database};
  manager.heartbeat_interval = std::chrono::milliseconds(config.heartbeat_interval_ms);
  manager.refresh_interval = config.probe_interval;
  manager.unready_timeout = config.unready_timeout;
  manager.monitor_interval = config.monitor_interval;
  manager.fresh_identity = config.fresh_identity;
  manager.quarantine = {.timeout = config.unrecoverable_timeout, .min_attempts = config.unrecoverable_min_attempts};
  return manager;
}

class PoolerServiceProcess final : public Service {
 public:
  PoolerServiceProcess(Config config, Ports ports, std::span<Reactor* const> reactors, topo::Store& store,
                       Address pgctld, Logger logger)
      : store_(store),
        logger_(logger),
        data_path_({reactors.begin(), reactors.end()}, DataPathConfigOf(config), logger),
        process_(store.reactor(), std::move(pgctld)),
        peers_(store, SelfOf(config), ShardOf(config)),
        postgres_(store.reactor(), ManagerConfigOf(config, ports)),
        postmaster_(store.reactor(), config.data_dir),
        manager_(
            ManagerConfigOf(config, ports),
            {store.reactor(), store, postgres_.Seams(process_), postgres_.disk(), peers_, data_path_, &postmaster_},
            logger),
        pooler_service_({.id = SelfOf(config),
                         .health_staleness = config.health_stream_staleness_timeout == Duration::zero()
                                                 ? kDefaultStaleness
                                                 : config.health_stream_staleness_timeout},
                        data_path_, manager_.serving(), logger),
        statement_control_(data_path_),
        manager_service_(manager_),
        consensus_service_(manager_),
        tasks_(store.reactor().executor()) {}

  rpc::Service& pooler_service() override { return pooler_service_; }
  rpc::Service& statement_control() override { return statement_control_; }
  rpc::Service& manager_service() override { return manager_service_; }
  rpc::Service& consensus_service() override { return consensus_service_; }

  Awaitable<Result<>> Start() override {
    co_await data_path_.Start();
    data_path_started_ = true;
    tasks_.Spawn("pool statistics", CollectStats());
    auto started = co_await manager_.Start();
    manager_started_ = started.has_value();
    co_return started;
  }

  Awaitable<void> Leave() override {
    if (std::exchange(manager_started_, false)) co_await manager_.Stop();
  }

  Awaitable<void> Stop() override {
    co_await asio::this_coro::reset_cancellation_state();
    co_await Leave();
    co_await tasks_.CancelAndJoin();
    if (std::exchange(data_path_started_, false)) co_await data_path_.Stop();
    co_await peers_.Close();
    co_await process_.Close();
  }

  std::string InitializationStatus() const override {
    return manager_started_ ? manager_.registration_status() : "Starting";
  }

  std::vector<servenv::StatusTable> StatusTables() const override {
    servenv::StatusTable serving{
        "Serving", {"State"}, {{manager::ToString(const_cast<manager::PoolerManager&>(manager_).serving().state())}}};
    servenv::StatusTable pools{"Connection pools", {"User", "Open", "Idle", "Lent", "Waiting"}, {}};
    for (const auto& [user, stats] : stats_.users) {
      pools.rows.push_back({user, std::to_string(stats.open), std::to_string(stats.idle), std::to_string(stats.lent),
                            std::to_string(stats.waiting)});
    }
    pools.rows.push_back(
        {"all (capacity " + std::to_string(stats_.capacity) + ", reserved " + std::to_string(stats_.reserved) + ")",
         std::to_string(stats_.open), "", "", ""});
    return {serving, pools};
  }

 private:
  // The status page may not wait, so it shows what was true a moment ago.
  Awaitable<void> CollectStats() {
    while (true) {
      stats_ = co_await data_path_.Collect();
      co_await SleepFor(store_.reactor().clock(), kStatsInterval);
    }
  }

  topo::Store& store_;
  Logger logger_;
  grpcpoolerservice::PoolerDataPath data_path_;
  manager::PgctldProcess process_;
  manager::TopologyPeers peers_;
  manager::LocalPostgres postgres_;
  manager::PostmasterWatch postmaster_;
  manager::PoolerManager manager_;
  grpcpoolerservice::PoolerService pooler_service_;
  grpcpoolerservice::StatementControl statement_control_;
  manager::ManagerService manager_service_;
  manager::ConsensusService consensus_service_;
  grpcpoolerservice::PoolerDataPath::Stats stats_;
  bool manager_started_ = false;
  bool data_path_started_ = false;
  TaskGroup tasks_;
};

}  // namespace

Result<std::unique_ptr<Service>> Service::Create(Config config, Ports ports, std::span<Reactor* const> reactors,
                                                 topo::Store& store, Logger logger) {
  auto pgctld = ParseAddress(config.pgctld_addr);
  if (!pgctld) return Fail(std::move(pgctld), "--pgctld-addr");
  return std::make_unique<PoolerServiceProcess>(std::move(config), std::move(ports), reactors, store,
                                                std::move(*pgctld), std::move(logger));
}

}  // namespace multigres::pooler
