#include "common/provisioner/cluster_plan.h"

#include "common/provisioner/layout.h"

namespace multigres::provisioner {

namespace {

constexpr std::string_view kLoopback = "127.0.0.1";

class Planner {
 public:
  Planner(const ClusterConfig& config, const Programs& programs, const PlanOptions& options)
      : config_(config),
        programs_(programs),
        options_(options),
        layout_(config),
        bind_(options.bind_address.empty() ? std::string(kLoopback) : options.bind_address) {}

  ServiceSpec Etcd() const {
    const EtcdConfig& etcd = config_.etcd;
    ServiceSpec spec = Base("etcd", "default", "", "");
    spec.stop_phase = StopPhase::kTopology;
    spec.data_dir = config_.Resolve(etcd.data_dir);
    spec.ports = {{"tcp", etcd.port}, {"peer_port", etcd.peer_port}, {"metrics_port", etcd.metrics_port}};
    const std::string peer = Url(std::string(kLoopback), etcd.peer_port);
    spec.argv = {programs_.etcd,
                 "--name=default",
                 "--data-dir=" + spec.data_dir,
                 "--listen-client-urls=" + Url(bind_, etcd.port),
                 "--advertise-client-urls=" + Url(std::string(kLoopback), etcd.port),
                 "--listen-peer-urls=" + peer,
                 "--initial-advertise-peer-urls=" + peer,
                 "--initial-cluster=default=" + peer,
                 "--listen-metrics-urls=" + Url(bind_, etcd.metrics_port),
                 "--log-outputs=stderr"};
    return spec;
  }

  ServiceSpec Multiadmin() const {
    ServiceSpec spec = Service("multiadmin", "default", "", "", config_.multiadmin);
    spec.stop_phase = StopPhase::kAdmin;
    AddTopology(spec);
    Add(spec, "service-map", "grpc-multiadmin");
    return spec;
  }

  ServiceSpec Gateway(const CellConfig& cell) const {
    ServiceSpec spec = Service("multigateway", cell.name, cell.name, cell.pooler.database, cell.gateway);
    AddTopology(spec);
    Add(spec, "cell", cell.name);
    if (!cell.gateway.service_id.empty()) Add(spec, "service-id", cell.gateway.service_id);
    spec.ports["pg_port"] = cell.gateway.pg_port;
    Add(spec, "pg-port", std::to_string(cell.gateway.pg_port));
    if (cell.gateway.pg_replica_port != 0) {
      spec.ports["pg_replica_port"] = cell.gateway.pg_replica_port;
      Add(spec, "pg-replica-port", std::to_string(cell.gateway.pg_replica_port));
    }
    Add(spec, "pg-bind-address", bind_);
    return spec;
  }

  ServiceSpec Orch(const CellConfig& cell) const {
    ServiceSpec spec = Service("multiorch", cell.name, cell.name, cell.pooler.database, cell.orch);
    AddTopology(spec);
    Add(spec, "cell", cell.name);
    if (!cell.orch.service_id.empty()) Add(spec, "service-id", cell.orch.service_id);
    Add(spec, "watch-targets", cell.pooler.database);
    Add(spec, "pooler-health-check-interval", cell.orch.pooler_health_check_interval);
    Add(spec, "recovery-cycle-interval", cell.orch.recovery_cycle_interval);
    return spec;
  }

  ServiceSpec Pgctld(const CellConfig& cell) const {
    const PgctldConfig& pgctld = cell.pgctld;
    ServiceSpec spec = Service("pgctld", "pgctld-" + cell.pooler.service_id, cell.name, cell.pooler.database, pgctld);
    spec.argv.insert(spec.argv.begin() + 1, "server");
    AddPostgres(spec, cell);
    spec.grpc_socket = config_.Resolve(pgctld.grpc_socket_file);
    spec.ports["pg_port"] = pgctld.pg_port;
    Add(spec, "pooler-dir", config_.Resolve(pgctld.pooler_dir));
    Add(spec, "pg-bin-dir", programs_.pg_bin_dir);
    Add(spec, "pg-listen-addresses", bind_);
    Add(spec, "pg-port", std::to_string(pgctld.pg_port));
    Add(spec, "pg-database", pgctld.pg_database);
    Add(spec, "pg-user", pgctld.pg_user);
    Add(spec, "timeout", std::to_string(pgctld.timeout_s));
    Add(spec, "grpc-socket-file", spec.grpc_socket);
    return spec;
  }

  ServiceSpec Pooler(const CellConfig& cell) const {
    const PoolerConfig& pooler = cell.pooler;
    ServiceSpec spec = Service("multipooler", pooler.service_id, cell.name, pooler.database, pooler);
    AddTopology(spec);
    AddPostgres(spec, cell);
    spec.grpc_socket = config_.Resolve(pooler.grpc_socket_file);
    const std::string pooler_dir = config_.Resolve(pooler.pooler_dir);
    Add(spec, "cell", cell.name);
    Add(spec, "database", pooler.database);
    Add(spec, "table-group", pooler.table_group);
    Add(spec, "shard", pooler.shard);
    Add(spec, "service-id", pooler.service_id);
    Add(spec, "pgctld-addr", fmt::format("localhost:{}", cell.pgctld.grpc_port));
    Add(spec, "pooler-dir", pooler_dir);
    Add(spec, "pg-port", std::to_string(pooler.pg_port));
    Add(spec, "socket-file", fmt::format("{}/pg_sockets/.s.PGSQL.{}", pooler_dir, pooler.pg_port));
    Add(spec, "grpc-socket-file", spec.grpc_socket);
    Add(spec, "service-map", "grpc-pooler");
    return spec;
  }

 private:
  static void Add(ServiceSpec& spec, std::string_view flag, const std::string& value) {
    spec.argv.push_back(fmt::format("--{}={}", flag, value));
  }
  static std::string Url(const std::string& host, std::uint16_t port) {
    return fmt::format("http://{}:{}", host, port);
  }

  ServiceSpec Base(const std::string& service, const std::string& id, const std::string& cell,
                   const std::string& database) const {
    ServiceSpec spec;
    spec.id = id;
    spec.service = service;
    spec.cell = cell;
    spec.log_file = layout_.LogFile(database, service, id);
    spec.state_file = layout_.StateFile(database, service, id);
    // A wildcard is reached through loopback, another address only through itself.
    spec.host = bind_ == "0.0.0.0" || bind_ == "::" ? std::string(kLoopback) : bind_;
    if (options_.user) {
      spec.uid = options_.user->uid;
      spec.gid = options_.user->gid;
    }
    return spec;
  }

  ServiceSpec Service(const std::string& service, const std::string& id, const std::string& cell,
                      const std::string& database, const ServiceConfig& config) const {
    ServiceSpec spec = Base(service, id, cell, database);
    spec.ports = {{"http_port", config.http_port}, {"grpc_port", config.grpc_port}};
    spec.argv = {programs_.ServicePath(service, cell)};
    Add(spec, "http-port", std::to_string(config.http_port));
    Add(spec, "grpc-port", std::to_string(config.grpc_port));
    Add(spec, "bind-address", bind_);
    Add(spec, "grpc-bind-address", bind_);
    Add(spec, "log-level", config.log_level);
    Add(spec, "log-output", spec.log_file);
    return spec;
  }

  void AddTopology(ServiceSpec& spec) const {
    Add(spec, "hostname", "localhost");
    Add(spec, "topo-global-server-addresses", EtcdAddress(config_));
    Add(spec, "topo-global-root", config_.global_root_path);
  }

  void AddPostgres(ServiceSpec& spec, const CellConfig& cell) const {
    spec.data_dir = config_.Resolve(cell.pooler.pooler_dir);
    spec.pg_data_dir = spec.data_dir + "/pg_data";
    spec.environment = {"PGDATA=" + spec.pg_data_dir, "POSTGRES_PASSWORD_FILE=" + PasswordFile(config_, cell),
                        // What the caller's own PostgreSQL clients use is no business of the cluster's.
                        "POSTGRES_PASSWORD", "PGPASSWORD", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS"};
  }

  const ClusterConfig& config_;
  const Programs& programs_;
  const PlanOptions& options_;
  Layout layout_;
  std::string bind_;
};

}  // namespace

std::string EtcdAddress(const ClusterConfig& config) {
  return fmt::format("{}:{}", kLoopback, config.etcd.port);
}

std::string PasswordFile(const ClusterConfig& config, const CellConfig& cell) {
  return config.Resolve(cell.pooler.pooler_dir) + "/postgres-password";
}

ClusterPlan MakeClusterPlan(const ClusterConfig& config, const Programs& programs, const PlanOptions& options) {
  const Planner planner(config, programs, options);
  ClusterPlan plan;
  plan.etcd = planner.Etcd();
  plan.multiadmin = planner.Multiadmin();
  for (const CellConfig& cell : config.cells) {
    CellPlan services;
    services.name = cell.name;
    services.gateway = planner.Gateway(cell);
    services.pgctld = planner.Pgctld(cell);
    services.pooler = planner.Pooler(cell);
    services.orch = planner.Orch(cell);
    plan.cells.push_back(std::move(services));
  }
  return plan;
}

std::vector<const ServiceSpec*> ClusterPlan::All() const {
  std::vector<const ServiceSpec*> all = {&etcd, &multiadmin};
  for (const CellPlan& cell : cells) {
    for (const ServiceSpec* spec : {&cell.gateway, &cell.pgctld, &cell.pooler, &cell.orch}) all.push_back(spec);
  }
  return all;
}

}  // namespace multigres::provisioner
