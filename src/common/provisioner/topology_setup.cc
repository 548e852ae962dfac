#include "common/provisioner/topology_setup.h"

#include "clustermetadata.pb.h"
#include "common/consensus/durability.h"
#include "common/topoclient/cells.h"

namespace multigres::provisioner {

using clustermetadata::Cell;
using clustermetadata::Database;
using topo::Mutation;

namespace {

// Did the mutation change anything? (Serialized: all there is in these records is ordered.)
template <class M>
Mutation Changed(const M& before, const M& after) {
  return before.SerializeAsString() == after.SerializeAsString() ? Mutation::kNoUpdateNeeded : Mutation::kWrite;
}

void SetBackupLocation(std::string_view location, Database& database) {
  static constexpr std::string_view kS3 = "s3://";
  if (!location.starts_with(kS3)) {
    database.mutable_backup_location()->mutable_filesystem()->set_path(std::string(location));
    return;
  }
  location.remove_prefix(kS3.size());
  const auto slash = location.find('/');
  auto& s3 = *database.mutable_backup_location()->mutable_s3();
  s3.set_bucket(std::string(location.substr(0, slash)));
  s3.set_key_prefix(slash == std::string_view::npos ? "" : std::string(location.substr(slash + 1)));
}

}  // namespace

Awaitable<Result<>> SetUpCells(topo::Store& store, TopologySetup setup) {
  for (const auto& entry : setup.cells) {
    auto done = co_await topo::UpdateCellFields(store, {}, entry.name, [&entry](Cell& cell) -> Result<Mutation> {
      const Cell before = cell;
      cell.set_name(entry.name);
      cell.clear_server_addresses();
      for (const std::string& address : entry.addresses) cell.add_server_addresses(address);
      cell.set_root(entry.root);
      return Changed(before, cell);
    });
    if (!done) co_return Fail(std::move(done), fmt::format("cell {}", entry.name));
  }
  co_return Result<>();
}

Awaitable<Result<>> SetUpDatabase(topo::Store& store, TopologySetup setup) {
  auto policy = consensus::ParsePolicy(setup.durability_policy);
  if (!policy) co_return std::unexpected(std::move(policy.error()));
  auto done = co_await topo::UpdateDatabaseFields(store, {}, setup.database,
                                                  [&setup, &policy](Database& database) -> Result<Mutation> {
                                                    const Database before = database;
                                                    database.set_name(setup.database);
                                                    database.clear_cells();
                                                    for (const auto& cell : setup.cells) database.add_cells(cell.name);
                                                    if (!setup.backup_path.empty())
                                                      SetBackupLocation(setup.backup_path, database);
                                                    if (!database.has_bootstrap_durability_policy())
                                                      *database.mutable_bootstrap_durability_policy() = *policy;
                                                    return Changed(before, database);
                                                  });
  if (!done) co_return Fail(std::move(done), fmt::format("database {}", setup.database));
  co_return Result<>();
}

}  // namespace multigres::provisioner
