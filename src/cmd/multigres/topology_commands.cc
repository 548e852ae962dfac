// multigres createclustermetadata: the static records of a cluster that isn't a local one.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cmd/multigres/command.h"
#include "common/provisioner/topology_setup.h"
#include "common/topoclient/etcdtopo/etcd_topo.h"
#include "common/topoclient/names.h"

namespace multigres::cli {

namespace {

struct MetadataFlags {
  std::vector<std::string> global_topo_address = {"localhost:2379"};
  std::string global_topo_root = "/multigres/test/global";
  std::vector<std::string> cells = {"zone1"};
  std::string durability_policy = "AT_LEAST_2";
  std::string backup_location;
};

Awaitable<Result<>> CreateClusterMetadata(Context& context, const MetadataFlags& flags) {
  topo::StoreOptions options;
  options.global_addresses = flags.global_topo_address;
  options.global_root = flags.global_topo_root;
  provisioner::TopologySetup setup;
  for (const std::string& cell : flags.cells) {
    if (auto valid = topo::ValidateCellName(cell); !valid) co_return valid;
    provisioner::TopologySetup::CellEntry entry;
    entry.name = cell;
    entry.addresses = flags.global_topo_address;
    entry.root = topo::JoinPath({flags.global_topo_root, cell});
    setup.cells.push_back(std::move(entry));
  }
  setup.durability_policy = flags.durability_policy;
  setup.backup_path = flags.backup_location;
  auto store = topo::Store::Create(context.reactor, topo::NewEtcdBackend(context.reactor), context.random, Logger(),
                                   std::move(options));
  if (!store) co_return std::unexpected(std::move(store.error()));
  auto done = co_await provisioner::SetUpCells(**store, setup);
  if (done) done = co_await provisioner::SetUpDatabase(**store, setup);
  co_await (*store)->Close();
  if (!done) {
    co_return Fail(std::move(done), fmt::format("etcd at {}", fmt::join(flags.global_topo_address, ",")));
  }
  std::printf("Cluster metadata is in place: cells %s, database %s\n",
              fmt::format("{}", fmt::join(flags.cells, ", ")).c_str(), setup.database.c_str());
  co_return Result<>();
}

}  // namespace

void AddTopologyCommands(CLI::App& app, Command* chosen) {
  // The commands share them: one command runs, and holds them.
  auto flags = std::make_shared<MetadataFlags>();
  CLI::App& command = *app.add_subcommand("createclustermetadata", "write the cells and the database into etcd");
  command.fallthrough();
  command.add_option("--global-topo-address", flags->global_topo_address, "etcd servers, host:port")->delimiter(',');
  command.add_option("--global-topo-root", flags->global_topo_root, "root of the global topology");
  command.add_option("--cells", flags->cells, "names of the cells")->delimiter(',');
  command.add_option("--durability-policy", flags->durability_policy, "AT_LEAST_2 or MULTI_CELL_AT_LEAST_2");
  command.add_option("--backup-location", flags->backup_location, "folder for backups, or s3://bucket/prefix")
      ->required();
  command.callback(
      [chosen, flags] { *chosen = [flags](Context& context) { return CreateClusterMetadata(context, *flags); }; });
}

}  // namespace multigres::cli
