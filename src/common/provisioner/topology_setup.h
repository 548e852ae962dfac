// The static records of a cluster: its cells and its database.
#pragma once

#include <string>
#include <vector>

#include "common/topoclient/store.h"

namespace multigres::provisioner {

struct TopologySetup {
  struct CellEntry {
    std::string name;
    std::vector<std::string> addresses;
    std::string root;
  };
  std::vector<CellEntry> cells;
  std::string database = "postgres";
  std::string durability_policy = "AT_LEAST_2";
  // Of backups: a folder, s3://bucket/prefix, or nothing.
  std::string backup_path;
};

// Writes what differs from what is there; a second time it changes nothing. An existing database keeps its policy.
Awaitable<Result<>> SetUpCells(topo::Store& store, TopologySetup setup);
Awaitable<Result<>> SetUpDatabase(topo::Store& store, TopologySetup setup);

}  // namespace multigres::provisioner
