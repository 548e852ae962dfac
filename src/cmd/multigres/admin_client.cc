#include "cmd/multigres/admin_client.h"

#include "common/provisioner/cluster_config.h"

namespace multigres::cli {

Result<Address> AdminAddress(const GlobalFlags& flags) {
  if (!flags.admin_server.empty()) return ParseAddress(flags.admin_server);
  auto path = provisioner::FindClusterConfig(flags.config_path, flags.config_name, flags.config_file);
  if (!path) return Fail(std::move(path), "no --admin-server is given");
  auto config = provisioner::LoadClusterConfig(*path);
  if (!config) return std::unexpected(std::move(config.error()));
  TcpAddress address;
  address.host = "localhost";
  address.port = config->multiadmin.grpc_port;
  return address;
}

}  // namespace multigres::cli
