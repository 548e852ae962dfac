// The configuration as YAML, both ways.

#include <yaml-cpp/yaml.h>

#include <set>

#include "common/provisioner/cluster_config.h"

namespace multigres::provisioner {

namespace {

// A mapping being read: remembers the first thing that is wrong, and which keys were asked for.
class Mapping {
 public:
  Mapping(const YAML::Node& node, std::string path, std::string& problem)
      : node_(node), path_(std::move(path)), problem_(problem) {
    if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) Complain("must be a mapping");
  }

  Mapping Child(const char* key) {
    asked_.insert(key);
    return Mapping(Get(key), Named(key), problem_);
  }
  template <class T>
  void Read(const char* key, T* value) {
    asked_.insert(key);
    const YAML::Node node = Get(key);
    if (!node.IsDefined() || node.IsNull()) return;
    if (!node.IsScalar() || !Convert(node, value)) {
      Note(fmt::format("{} has a value of the wrong kind{}", Named(key),
                       node.IsScalar() ? ": '" + node.Scalar() + "'" : std::string()));
    }
  }
  void Require(const char* key, std::string* value) {
    Read(key, value);
    if (value->empty()) Note(fmt::format("{} is missing", Named(key)));
  }
  YAML::Node Sequence(const char* key) {
    asked_.insert(key);
    const YAML::Node node = Get(key);
    if (!node.IsDefined() || !node.IsSequence() || node.size() == 0) {
      Note(fmt::format("{} must be a list with at least one entry", Named(key)));
      return YAML::Node(YAML::NodeType::Sequence);
    }
    return node;
  }
  // After everything was read: whatever is left is a mistake.
  void Finish() {
    if (!node_.IsDefined() || !node_.IsMap()) return;
    for (const auto& entry : node_) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
      if (!asked_.contains(key)) Note(fmt::format("unknown key {}", Named(key)));
    }
  }
  std::string Named(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }

 private:
  YAML::Node Get(const char* key) const {
    if (!node_.IsDefined() || !node_.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
    return node_[key];
  }
  static bool Convert(const YAML::Node& node, std::string* value) {
    *value = node.Scalar();
    return true;
  }
  static bool Convert(const YAML::Node& node, bool* value) { return YAML::convert<bool>::decode(node, *value); }
  static bool Convert(const YAML::Node& node, int* value) { return YAML::convert<int>::decode(node, *value); }
  static bool Convert(const YAML::Node& node, std::uint16_t* value) {
    int wide = 0;
    if (!YAML::convert<int>::decode(node, wide) || wide < 0 || wide > 65535) return false;
    *value = static_cast<std::uint16_t>(wide);
    return true;
  }
  void Complain(std::string_view what) { Note(fmt::format("{} {}", path_.empty() ? "the file" : path_, what)); }
  void Note(std::string text) {
    if (problem_.empty()) problem_ = std::move(text);
  }

  YAML::Node node_;
  std::string path_;
  std::string& problem_;
  std::set<std::string> asked_;
};

void ReadService(Mapping& map, ServiceConfig* service) {
  map.Read("path", &service->path);
  map.Read("http-port", &service->http_port);
  map.Read("grpc-port", &service->grpc_port);
  map.Read("log-level", &service->log_level);
}

void ReadCell(Mapping& map, const ClusterConfig& config, CellConfig* cell) {
  Mapping gateway = map.Child("multigateway");
  ReadService(gateway, &cell->gateway);
  gateway.Read("service-id", &cell->gateway.service_id);
  gateway.Read("pg-port", &cell->gateway.pg_port);
  gateway.Read("pg-replica-port", &cell->gateway.pg_replica_port);
  gateway.Finish();

  Mapping pooler = map.Child("multipooler");
  ReadService(pooler, &cell->pooler);
  pooler.Read("database", &cell->pooler.database);
  pooler.Read("table-group", &cell->pooler.table_group);
  pooler.Read("shard", &cell->pooler.shard);
  pooler.Read("service-id", &cell->pooler.service_id);
  pooler.Read("pooler-dir", &cell->pooler.pooler_dir);
  pooler.Read("pg-port", &cell->pooler.pg_port);
  pooler.Read("grpc-socket-file", &cell->pooler.grpc_socket_file);
  pooler.Finish();

  Mapping orch = map.Child("multiorch");
  ReadService(orch, &cell->orch);
  orch.Read("service-id", &cell->orch.service_id);
  orch.Read("pooler-health-check-interval", &cell->orch.pooler_health_check_interval);
  orch.Read("recovery-cycle-interval", &cell->orch.recovery_cycle_interval);
  orch.Finish();

  Mapping pgctld = map.Child("pgctld");
  ReadService(pgctld, &cell->pgctld);
  pgctld.Read("pooler-dir", &cell->pgctld.pooler_dir);
  pgctld.Read("grpc-socket-file", &cell->pgctld.grpc_socket_file);
  pgctld.Read("pg-port", &cell->pgctld.pg_port);
  pgctld.Read("pg-database", &cell->pgctld.pg_database);
  pgctld.Read("pg-user", &cell->pgctld.pg_user);
  pgctld.Read("pg-password", &cell->pgctld.pg_password);
  pgctld.Read("timeout", &cell->pgctld.timeout_s);
  pgctld.Read("pgbackrest-port", &cell->pgctld.pgbackrest_port);
  pgctld.Read("pgbackrest-cert-dir", &cell->pgctld.pgbackrest_cert_dir);
  pgctld.Finish();
  map.Finish();

  if (cell->pooler.database.empty()) cell->pooler.database = config.default_db_name;
  if (cell->pooler.pooler_dir.empty()) cell->pooler.pooler_dir = "data/pooler_" + cell->pooler.service_id;
  if (cell->pooler.grpc_socket_file.empty()) {
    cell->pooler.grpc_socket_file = fmt::format("sockets/multipooler-{}.sock", cell->name);
  }
  if (cell->pgctld.pooler_dir.empty()) cell->pgctld.pooler_dir = cell->pooler.pooler_dir;
  if (cell->pgctld.grpc_socket_file.empty()) {
    cell->pgctld.grpc_socket_file = fmt::format("sockets/pgctld-{}.sock", cell->name);
  }
}

void ReadCluster(Mapping& map, ClusterConfig* config, std::string& problem) {
  map.Require("root-working-dir", &config->root_working_dir);
  map.Read("default-db-name", &config->default_db_name);

  Mapping backup = map.Child("backup");
  backup.Read("type", &config->backup.type);
  Mapping local = backup.Child("local");
  local.Read("path", &config->backup.local_path);
  local.Finish();
  Mapping s3 = backup.Child("s3");
  s3.Read("bucket", &config->backup.s3.bucket);
  s3.Read("region", &config->backup.s3.region);
  s3.Read("endpoint", &config->backup.s3.endpoint);
  s3.Read("key-prefix", &config->backup.s3.key_prefix);
  s3.Read("use-env-credentials", &config->backup.s3.use_env_credentials);
  s3.Finish();
  backup.Read("encrypt", &config->backup.encrypt);
  backup.Read("cipher-key-file", &config->backup.cipher_key_file);
  backup.Finish();

  Mapping etcd = map.Child("etcd");
  etcd.Read("data-dir", &config->etcd.data_dir);
  etcd.Read("port", &config->etcd.port);
  etcd.Read("peer-port", &config->etcd.peer_port);
  etcd.Read("metrics-port", &config->etcd.metrics_port);
  etcd.Finish();
  if (config->etcd.peer_port == 0) config->etcd.peer_port = static_cast<std::uint16_t>(config->etcd.port + 1);
  if (config->etcd.metrics_port == 0) config->etcd.metrics_port = static_cast<std::uint16_t>(config->etcd.port + 2);

  Mapping admin = map.Child("multiadmin");
  ReadService(admin, &config->multiadmin);
  admin.Finish();

  Mapping topology = map.Child("topology");
  topology.Read("global-root-path", &config->global_root_path);
  Mapping cells = map.Child("cells");
  for (const YAML::Node& entry : topology.Sequence("cells")) {
    Mapping named(entry, "provisioner-config.topology.cells", problem);
    CellConfig cell;
    named.Require("name", &cell.name);
    named.Read("root-path", &cell.root_path);
    named.Finish();
    if (cell.root_path.empty()) cell.root_path = "/multigres/" + cell.name;
    Mapping services = cells.Child(cell.name.c_str());
    ReadCell(services, *config, &cell);
    config->cells.push_back(std::move(cell));
  }
  topology.Finish();
  cells.Finish();
  map.Finish();
}

// Writing.

void Emit(YAML::Emitter& out, const char* key, const std::string& value) {
  if (!value.empty()) out << YAML::Key << key << YAML::Value << value;
}
void Emit(YAML::Emitter& out, const char* key, int value) {
  out << YAML::Key << key << YAML::Value << value;
}

void BeginService(YAML::Emitter& out, const char* key, const ServiceConfig& service) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  Emit(out, "path", service.path);
  Emit(out, "http-port", service.http_port);
  Emit(out, "grpc-port", service.grpc_port);
  Emit(out, "log-level", service.log_level);
}

void EmitCell(YAML::Emitter& out, const CellConfig& cell) {
  out << YAML::Key << cell.name << YAML::Value << YAML::BeginMap;
  BeginService(out, "multigateway", cell.gateway);
  Emit(out, "service-id", cell.gateway.service_id);
  Emit(out, "pg-port", cell.gateway.pg_port);
  Emit(out, "pg-replica-port", cell.gateway.pg_replica_port);
  out << YAML::EndMap;
  BeginService(out, "multipooler", cell.pooler);
  Emit(out, "database", cell.pooler.database);
  Emit(out, "table-group", cell.pooler.table_group);
  Emit(out, "shard", cell.pooler.shard);
  Emit(out, "service-id", cell.pooler.service_id);
  Emit(out, "pooler-dir", cell.pooler.pooler_dir);
  Emit(out, "pg-port", cell.pooler.pg_port);
  Emit(out, "grpc-socket-file", cell.pooler.grpc_socket_file);
  out << YAML::EndMap;
  BeginService(out, "multiorch", cell.orch);
  Emit(out, "service-id", cell.orch.service_id);
  Emit(out, "pooler-health-check-interval", cell.orch.pooler_health_check_interval);
  Emit(out, "recovery-cycle-interval", cell.orch.recovery_cycle_interval);
  out << YAML::EndMap;
  BeginService(out, "pgctld", cell.pgctld);
  Emit(out, "pooler-dir", cell.pgctld.pooler_dir);
  Emit(out, "grpc-socket-file", cell.pgctld.grpc_socket_file);
  Emit(out, "pg-port", cell.pgctld.pg_port);
  Emit(out, "pg-database", cell.pgctld.pg_database);
  Emit(out, "pg-user", cell.pgctld.pg_user);
  Emit(out, "pg-password", cell.pgctld.pg_password);
  Emit(out, "timeout", cell.pgctld.timeout_s);
  Emit(out, "pgbackrest-port", cell.pgctld.pgbackrest_port);
  Emit(out, "pgbackrest-cert-dir", cell.pgctld.pgbackrest_cert_dir);
  out << YAML::EndMap << YAML::EndMap;
}

void EmitBackup(YAML::Emitter& out, const BackupConfig& backup) {
  out << YAML::Key << "backup" << YAML::Value << YAML::BeginMap;
  Emit(out, "type", backup.type);
  if (backup.type == "s3") {
    out << YAML::Key << "s3" << YAML::Value << YAML::BeginMap;
    Emit(out, "bucket", backup.s3.bucket);
    Emit(out, "region", backup.s3.region);
    Emit(out, "endpoint", backup.s3.endpoint);
    Emit(out, "key-prefix", backup.s3.key_prefix);
    out << YAML::Key << "use-env-credentials" << YAML::Value << backup.s3.use_env_credentials << YAML::EndMap;
  } else {
    out << YAML::Key << "local" << YAML::Value << YAML::BeginMap;
    Emit(out, "path", backup.local_path);
    out << YAML::EndMap;
  }
  out << YAML::Key << "encrypt" << YAML::Value << backup.encrypt;
  Emit(out, "cipher-key-file", backup.cipher_key_file);
  out << YAML::EndMap;
}

}  // namespace

Result<ClusterConfig> ParseClusterConfig(const std::string& yaml) {
  ClusterConfig config;
  std::string problem;
  // The library reports by exceptions; they end here.
  try {
    Mapping top(YAML::Load(yaml), "", problem);
    std::string provisioner = "local";
    top.Read("provisioner", &provisioner);
    if (provisioner != "local" && problem.empty()) {
      problem = fmt::format("provisioner '{}' is unknown; only 'local' is there", provisioner);
    }
    Mapping cluster = top.Child("provisioner-config");
    ReadCluster(cluster, &config, problem);
    top.Finish();
  } catch (const YAML::Exception& error) {
    return Fail(Code::kInvalidArgument, fmt::format("not valid YAML: {}", error.what()));
  }
  if (!problem.empty()) return Fail(Code::kInvalidArgument, problem);
  return config;
}

std::string ToYaml(const ClusterConfig& config) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "provisioner" << YAML::Value << "local";
  out << YAML::Key << "provisioner-config" << YAML::Value << YAML::BeginMap;
  Emit(out, "root-working-dir", config.root_working_dir);
  Emit(out, "default-db-name", config.default_db_name);
  EmitBackup(out, config.backup);
  out << YAML::Key << "etcd" << YAML::Value << YAML::BeginMap;
  Emit(out, "data-dir", config.etcd.data_dir);
  Emit(out, "port", config.etcd.port);
  Emit(out, "peer-port", config.etcd.peer_port);
  Emit(out, "metrics-port", config.etcd.metrics_port);
  out << YAML::EndMap;
  out << YAML::Key << "topology" << YAML::Value << YAML::BeginMap;
  Emit(out, "global-root-path", config.global_root_path);
  out << YAML::Key << "cells" << YAML::Value << YAML::BeginSeq;
  for (const CellConfig& cell : config.cells) {
    out << YAML::BeginMap;
    Emit(out, "name", cell.name);
    Emit(out, "root-path", cell.root_path);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
  BeginService(out, "multiadmin", config.multiadmin);
  out << YAML::EndMap;
  out << YAML::Key << "cells" << YAML::Value << YAML::BeginMap;
  for (const CellConfig& cell : config.cells) EmitCell(out, cell);
  out << YAML::EndMap << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace multigres::provisioner
