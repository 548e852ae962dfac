// multigres.yaml: what a local cluster consists of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/random/random.h"
#include "tools/result/error.h"

namespace multigres::provisioner {

// Paths may be relative: to root-working-dir.
struct ServiceConfig {
  std::string path;  // of the program; empty = beside the CLI
  std::uint16_t http_port = 0;
  std::uint16_t grpc_port = 0;
  std::string log_level = "info";
};

struct GatewayConfig : ServiceConfig {
  std::string service_id;  // empty = another one at each start
  std::uint16_t pg_port = 0;
  std::uint16_t pg_replica_port = 0;
};

struct PoolerConfig : ServiceConfig {
  std::string database;
  std::string table_group = "default";
  std::string shard = "0-inf";
  std::string service_id;
  std::string pooler_dir;  // empty = data/pooler_<service-id>
  std::uint16_t pg_port = 0;
  std::string grpc_socket_file;  // empty = sockets/multipooler-<cell>.sock
};

struct OrchConfig : ServiceConfig {
  std::string service_id;  // empty = another one at each start
  std::string pooler_health_check_interval = "200ms";
  std::string recovery_cycle_interval = "500ms";
};

struct PgctldConfig : ServiceConfig {
  std::string pooler_dir;        // empty = the pooler's
  std::string grpc_socket_file;  // empty = sockets/pgctld-<cell>.sock
  std::uint16_t pg_port = 0;
  std::string pg_database = "postgres";
  std::string pg_user = "postgres";
  std::string pg_password = "postgres";
  int timeout_s = 30;
  std::uint16_t pgbackrest_port = 0;
  std::string pgbackrest_cert_dir;
};

struct CellConfig {
  std::string name;
  std::string root_path;
  GatewayConfig gateway;
  PoolerConfig pooler;
  OrchConfig orch;
  PgctldConfig pgctld;
};

struct EtcdConfig {
  std::string data_dir = "data/etcd-data";
  std::uint16_t port = 2379;
  std::uint16_t peer_port = 0;     // 0 = port + 1
  std::uint16_t metrics_port = 0;  // 0 = port + 2
};

struct S3Config {
  std::string bucket, region, endpoint, key_prefix;
  bool use_env_credentials = false;
};

struct BackupConfig {
  std::string type = "local";  // or s3
  std::string local_path = "data/backups";
  S3Config s3;
  bool encrypt = false;
  std::string cipher_key_file;
};

struct ClusterConfig {
  std::string root_working_dir;
  std::string default_db_name = "postgres";
  BackupConfig backup;
  EtcdConfig etcd;
  std::string global_root_path = "/multigres/global";
  ServiceConfig multiadmin;
  std::vector<CellConfig> cells;

  // `path` below root-working-dir, unless it is absolute.
  std::string Resolve(const std::string& path) const;
};

// The configuration that `cluster init` writes: three cells, ports as documented.
ClusterConfig DefaultClusterConfig(std::string root_working_dir, Random& random);

std::string ToYaml(const ClusterConfig& config);
// INVALID_ARGUMENT, one sentence: what isn't YAML, unknown keys, wrong types, missing or contradictory values.
Result<ClusterConfig> ParseClusterConfig(const std::string& yaml);
// INVALID_ARGUMENT: no cells, a port given twice, a root too long for its unix sockets.
Result<> Validate(const ClusterConfig& config);

// Where the configuration is. `file` is taken as it is; else `<name>.yaml` in the first of `directories` that has it.
// NOT_FOUND says what to do.
Result<std::string> FindClusterConfig(const std::vector<std::string>& directories, const std::string& name,
                                      const std::string& file);
Result<ClusterConfig> LoadClusterConfig(const std::string& path);

}  // namespace multigres::provisioner
