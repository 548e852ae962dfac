// Which shards an orchestrator looks after.
#pragma once

#include <string>
#include <vector>

#include "common/topoclient/fwd.h"
#include "tools/result/error.h"

namespace multigres::orch {

class WatchTargets {
 public:
  // Each "db", "db/tablegroup" or "db/tablegroup/shard". INVALID_ARGUMENT names the malformed one, or the lack of any.
  static Result<WatchTargets> Parse(const std::vector<std::string>& texts);
  bool Matches(const clustermetadata::ShardKey& shard) const;

 private:
  struct Target {
    std::string database;
    std::string table_group;  // empty = all
    std::string shard;        // empty = all
  };
  std::vector<Target> targets_;
};

}  // namespace multigres::orch
