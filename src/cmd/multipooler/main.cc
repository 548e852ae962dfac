// multipooler: pools connections to the PostgreSQL beside it and serves queries on them.
#include <memory>

#include "common/rpc/server.h"
#include "common/servenv/program.h"
#include "services/multipooler/service.h"

namespace multigres::pooler {
namespace {

class PoolerProgram final : public servenv::Program {
 public:
  servenv::ProgramInfo info() const override {
    return {.name = "multipooler",
            .title = "Multipooler",
            .description = "Pools connections to the PostgreSQL beside it and serves queries on them.",
            .default_reactors = 0};
  }

  void RegisterFlags(servenv::FlagSet& flags) override {
    flags.Add("cell", &config_.cell, "cell that this instance runs in", {.env = "MT_CELL", .required = true});
    flags.Add("service-id", &config_.service_id, "name within the cell (random if empty)", {.env = "MT_SERVICE_ID"});
    flags.Add("database", &config_.database, "database that is served");
    flags.Add("table-group", &config_.table_group, "table group that is served", {.required = true});
    flags.Add("shard", &config_.shard, "shard that is served", {.required = true});
    flags.Add("pgctld-addr", &config_.pgctld_addr, "gRPC address of this PostgreSQL's pgctld");
    flags.Add("socket-file", &config_.socket_file, "PostgreSQL's unix socket (else TCP on localhost)");
    flags.Add("pooler-dir", &config_.pooler_dir, "folder of this pooler's own files", {.required = true});
    flags.Add("pg-data-dir", &config_.data_dir, "PostgreSQL's data directory (else pg_data in the pooler's folder)",
              {.env = "PGDATA"});
    flags.Add("pg-bin-dir", &config_.pg_bin_dir, "folder of PostgreSQL's programs");
    flags.Add("pg-port", &config_.pg_port, "PostgreSQL's port");
    flags.Add("heartbeat-interval-milliseconds", &config_.heartbeat_interval_ms,
              "how often a leader writes its heartbeat, the probe of its disk");
    flags.Add("postgres-probe-interval", &config_.probe_interval,
              "how often PostgreSQL is asked for its state, which is then published");
    flags.Add("postgres-unready-timeout", &config_.unready_timeout,
              "PostgreSQL counts as not ready when it hasn't answered for so long");
    flags.Add("postgres-monitor-interval", &config_.monitor_interval,
              "how often PostgreSQL is compared with what the shard's rule asks of it");
    flags.Add("postgres-unrecoverable-timeout", &config_.unrecoverable_timeout,
              "give PostgreSQL up when it couldn't be brought up for so long (0 = never)");
    flags.Add("postgres-unrecoverable-min-attempts", &config_.unrecoverable_min_attempts,
              "and in so many attempts (2 to 9)");
    flags.Add("fresh-identity", &config_.fresh_identity,
              "start although this pooler's promises are lost: its --service-id was never used before");
    flags.Add("connpool-admin-user", &config_.admin_user, "superuser for the pooler's own work",
              {.env = "CONNPOOL_ADMIN_USER"});
    flags.Add("connpool-admin-password", &config_.admin_password, "its password",
              {.env = "POSTGRES_PASSWORD", .secret = true});
    flags.Add("connpool-admin-password-file", &config_.admin_password_file, "file with its password",
              {.env = "POSTGRES_PASSWORD_FILE"});
    flags.Add("connpool-admin-capacity", &config_.admin_capacity, "connections for the pooler's own work",
              {.env = "CONNPOOL_ADMIN_CAPACITY"});
    flags.Add("connpool-global-capacity", &config_.global_capacity, "connections for all users together",
              {.env = "CONNPOOL_GLOBAL_CAPACITY"});
    flags.Add("connpool-settings-cache-size", &config_.settings_cache_size, "distinct sets of settings remembered",
              {.env = "CONNPOOL_SETTINGS_CACHE_SIZE"});
    flags.Add("connpool-user-regular-idle-timeout", &config_.idle_timeout,
              "close a connection that is idle for so long", {.env = "CONNPOOL_USER_REGULAR_IDLE_TIMEOUT"});
    flags.Add("connpool-user-regular-max-lifetime", &config_.max_lifetime,
              "close a connection at this age, plus as much again at random",
              {.env = "CONNPOOL_USER_REGULAR_MAX_LIFETIME"});
    flags.Add("connpool-inactive-timeout", &config_.inactive_timeout, "forget a user who asks nothing for so long",
              {.env = "CONNPOOL_INACTIVE_TIMEOUT"});
    flags.Add("connpool-dial-timeout", &config_.dial_timeout, "how long connecting to PostgreSQL may take",
              {.env = "CONNPOOL_DIAL_TIMEOUT"});
    flags.Add("connpool-drain-grace-period", &config_.drain_grace_period,
              "how long open work may go on while draining (0 = for ever)", {.env = "CONNPOOL_DRAIN_GRACE_PERIOD"});
    flags.Add("connpool-user-reserved-inactivity-timeout", &config_.reserved_inactivity_timeout,
              "close a session's connection that it doesn't use for so long (0 = never)",
              {.env = "CONNPOOL_USER_RESERVED_INACTIVITY_TIMEOUT"});
    flags.Add("health-stream-staleness-timeout", &config_.health_stream_staleness_timeout,
              "silence after which gateways shall doubt this pooler (0 = 90s)");
    servenv::RegisterTopoFlags(flags, &topo_flags_);
  }

  Awaitable<Result<>> Init(servenv::Environment& env) override {
    env_ = &env;
    if (config_.service_id.empty()) config_.service_id = RandomId(env.random());
    auto complete = Complete(config_);
    if (!complete) co_return complete;
    auto store = servenv::OpenTopology(env, topo_flags_);
    if (!store) co_return std::unexpected(std::move(store.error()));
    store_ = std::move(*store);
    const Ports ports{env.hostname(), env.grpc_flags().port, env.http_port()};
    auto service = Service::Create(config_, ports, env.reactors(), *store_, env.logger());
    if (!service) co_return std::unexpected(std::move(service.error()));
    service_ = std::move(*service);
    if (env.ServiceMapped("grpc-pooler")) {
      env.grpc().Register(service_->pooler_service());
      env.grpc().Register(service_->statement_control());
    }
    if (env.ServiceMapped("grpc-poolermanager")) env.grpc().Register(service_->manager_service());
    if (env.ServiceMapped("grpc-consensus")) env.grpc().Register(service_->consensus_service());
    auto& page = env.status_page();
    page.AddRow("Cell", config_.cell);
    page.AddRow("Service ID", config_.service_id);
    page.AddRow("Database", config_.database);
    page.AddRow("Table Group", config_.table_group);
    page.AddRow("Shard", config_.shard);
    page.AddRow("Pgctld Address", config_.pgctld_addr);
    page.AddRow("Socket File Path", config_.socket_file);
    page.AddInitialization([this] { return service_->InitializationStatus(); });
    page.AddTables([this] { return service_->StatusTables(); });
    co_return Result<>{};
  }

  Awaitable<Result<>> OnRun() override { return service_->Start(); }

  Awaitable<Result<>> CheckReady() override { return env_->CheckOwnGrpc(); }

  Awaitable<void> OnTerm() override { return service_->Leave(); }

  Awaitable<void> OnClose() override {
    if (service_ != nullptr) co_await service_->Stop();
    if (store_ != nullptr) co_await store_->Close();
  }

 private:
  Config config_;
  servenv::TopoFlags topo_flags_;
  servenv::Environment* env_ = nullptr;
  std::unique_ptr<topo::Store> store_;
  std::unique_ptr<Service> service_;
};

}  // namespace
}  // namespace multigres::pooler

int main(int argc, char** argv) {
  multigres::pooler::PoolerProgram program;
  return multigres::servenv::RunProgram(argc, argv, program);
}
