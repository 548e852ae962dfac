// What a multiorch is told: its flags' values. Those of `engine` and `watch_targets` may change while it runs.
#pragma once

#include <string>
#include <vector>

#include "services/multiorch/recovery/engine.h"

namespace multigres::orch {

struct Config {
  std::string cell;
  std::string service_id;                  // random if empty
  std::vector<std::string> watch_targets;  // db, db/tablegroup or db/tablegroup/shard
  Duration verify_replication_timeout = std::chrono::seconds(5);
  EngineOptions engine;
};

// INVALID_ARGUMENT naming the flag that makes no sense. (Of --watch-targets see WatchTargets::Parse().)
Result<> Validate(const Config& config);

}  // namespace multigres::orch
