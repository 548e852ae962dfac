#include "common/provisioner/cluster_config.h"

#include <sys/un.h>

#include <filesystem>
#include <map>

#include "tools/fs/file.h"

namespace multigres::provisioner {

namespace {

constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

std::string ClusterConfig::Resolve(const std::string& path) const {
  if (path.starts_with('/')) return path;
  return path.empty() ? root_working_dir : root_working_dir + "/" + path;
}

ClusterConfig DefaultClusterConfig(std::string root_working_dir, Random& random) {
  ClusterConfig config;
  config.root_working_dir = std::move(root_working_dir);
  config.etcd.peer_port = 2380;
  config.etcd.metrics_port = 2381;
  config.multiadmin.http_port = 15000;
  config.multiadmin.grpc_port = 15070;
  for (std::uint16_t n = 0; n < 3; ++n) {
    const auto port = [n](int base) { return static_cast<std::uint16_t>(base + n); };
    CellConfig cell;
    cell.name = fmt::format("zone{}", n + 1);
    cell.root_path = "/multigres/" + cell.name;
    // Kept over restarts, so that a crash leaves no record of a stranger behind.
    cell.gateway.service_id = RandomId(random);
    cell.gateway.http_port = port(15100);
    cell.gateway.grpc_port = port(15170);
    cell.gateway.pg_port = port(15432);
    cell.gateway.pg_replica_port = port(15532);
    cell.pooler.http_port = port(15200);
    cell.pooler.grpc_port = port(15270);
    cell.pooler.database = config.default_db_name;
    cell.pooler.service_id = RandomId(random);
    cell.pooler.pooler_dir = "data/pooler_" + cell.pooler.service_id;
    cell.pooler.pg_port = port(25432);
    cell.pooler.grpc_socket_file = fmt::format("sockets/multipooler-{}.sock", cell.name);
    cell.orch.service_id = RandomId(random);
    cell.orch.http_port = port(15300);
    cell.orch.grpc_port = port(15370);
    cell.pgctld.http_port = port(15400);
    cell.pgctld.grpc_port = port(15470);
    cell.pgctld.pooler_dir = cell.pooler.pooler_dir;
    cell.pgctld.grpc_socket_file = fmt::format("sockets/pgctld-{}.sock", cell.name);
    cell.pgctld.pg_port = cell.pooler.pg_port;
    cell.pgctld.pgbackrest_port = port(18432);
    config.cells.push_back(std::move(cell));
  }
  return config;
}

Result<> Validate(const ClusterConfig& config) {
  if (!config.root_working_dir.starts_with('/')) {
    return Fail(Code::kInvalidArgument, "root-working-dir must be an absolute path");
  }
  if (config.cells.empty()) return Fail(Code::kInvalidArgument, "the configuration has no cells");

  std::map<std::uint16_t, std::string> ports;
  Result<> result;
  const auto take = [&](std::uint16_t port, const std::string& name) {
    if (!result) return;
    if (port == 0) {
      result = Fail(Code::kInvalidArgument, fmt::format("no port is given for {}", name));
      return;
    }
    const auto [it, fresh] = ports.try_emplace(port, name);
    if (!fresh) {
      result =
          Fail(Code::kInvalidArgument, fmt::format("port {} is given twice: to {} and to {}", port, it->second, name));
    }
  };
  take(config.etcd.port, "etcd");
  take(config.etcd.peer_port, "etcd's peers");
  take(config.etcd.metrics_port, "etcd's metrics");
  take(config.multiadmin.http_port, "multiadmin (HTTP)");
  take(config.multiadmin.grpc_port, "multiadmin (gRPC)");
  for (const CellConfig& cell : config.cells) {
    const auto named = [&](std::string_view what) { return fmt::format("{} of {}", what, cell.name); };
    take(cell.gateway.http_port, named("multigateway (HTTP)"));
    take(cell.gateway.grpc_port, named("multigateway (gRPC)"));
    take(cell.gateway.pg_port, named("multigateway (PostgreSQL)"));
    take(cell.gateway.pg_replica_port, named("multigateway (PostgreSQL replicas)"));
    take(cell.pooler.http_port, named("multipooler (HTTP)"));
    take(cell.pooler.grpc_port, named("multipooler (gRPC)"));
    take(cell.orch.http_port, named("multiorch (HTTP)"));
    take(cell.orch.grpc_port, named("multiorch (gRPC)"));
    take(cell.pgctld.http_port, named("pgctld (HTTP)"));
    take(cell.pgctld.grpc_port, named("pgctld (gRPC)"));
    take(cell.pgctld.pg_port, named("PostgreSQL"));
    if (result && cell.pgctld.pg_port != cell.pooler.pg_port) {
      result = Fail(Code::kInvalidArgument, fmt::format("pg-port of multipooler and pgctld differ in {}", cell.name));
    }
    if (result && cell.pooler.service_id.empty()) {
      result = Fail(Code::kInvalidArgument, fmt::format("no service-id is given for the multipooler of {}", cell.name));
    }
    const std::string pg_socket =
        fmt::format("{}/pg_sockets/.s.PGSQL.{}", config.Resolve(cell.pooler.pooler_dir), cell.pooler.pg_port);
    for (const std::string& path :
         {pg_socket, config.Resolve(cell.pooler.grpc_socket_file), config.Resolve(cell.pgctld.grpc_socket_file)}) {
      if (!result || path.size() <= kMaxSocketPath) continue;
      result =
          Fail(Code::kInvalidArgument,
               fmt::format("root-working-dir {} is too long: the socket {} would have {} bytes and the limit is {}; "
                           "choose a shorter one",
                           config.root_working_dir, path, path.size(), kMaxSocketPath));
    }
  }
  return result;
}

Result<std::string> FindClusterConfig(const std::vector<std::string>& directories, const std::string& name,
                                      const std::string& file) {
  if (!file.empty()) {
    if (!fs::Exists(file)) return Fail(Code::kNotFound, fmt::format("config file not found: {}", file));
    return std::filesystem::absolute(file).lexically_normal().string();
  }
  for (const std::string& directory : directories) {
    std::string path = (std::filesystem::absolute(directory) / (name + ".yaml")).lexically_normal().string();
    if (fs::Exists(path)) return path;
  }
  return Fail(Code::kNotFound, fmt::format("no {}.yaml found in {}; run `multigres cluster init` first", name,
                                           fmt::join(directories, ", ")));
}

Result<ClusterConfig> LoadClusterConfig(const std::string& path) {
  auto text = fs::ReadFile(path);
  if (!text) return std::unexpected(std::move(text.error()));
  auto config = ParseClusterConfig(*text);
  if (!config) return Fail(std::move(config), fmt::format("config file {}", path));
  if (auto valid = Validate(*config); !valid) return Fail(std::move(valid), fmt::format("config file {}", path));
  return config;
}

}  // namespace multigres::provisioner
