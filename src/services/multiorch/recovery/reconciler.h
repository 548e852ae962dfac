// Keeps telling every pooler whom to follow: cheap, idempotent, and what reattaches whoever missed it.
#pragma once

#include <set>
#include <string>

#include "services/multiorch/health/pooler_client.h"
#include "services/multiorch/recovery/shard_facts.h"
#include "services/multiorch/recovery/shard_watch.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"

namespace multigres::orch {

class Reconciler {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(1);
  static constexpr Duration kCallTimeout = std::chrono::seconds(5);
  static constexpr Duration kForgetAfter = std::chrono::minutes(1);  // unheard for longer: not asked

  Reconciler(Executor executor, Clock& clock, Logger logger, ShardWatch& watch, PoolerClients& clients)
      : clock_(clock), logger_(std::move(logger)), watch_(watch), clients_(clients), calls_(std::move(executor)) {}

  // One round over these shards: SetPrimary to every mismatched pooler, in the background, one call each at a time.
  void Round(const std::vector<std::string>& shards);
  Awaitable<void> Stop() { return calls_.CancelAndJoin(); }

 private:
  Awaitable<void> Tell(std::string member, std::shared_ptr<PoolerClient> client,
                       ::clustermetadata::ReplicationPrimary target);

  Clock& clock_;
  Logger logger_;
  ShardWatch& watch_;
  PoolerClients& clients_;
  std::set<std::string> busy_;
  TaskGroup calls_;
};

}  // namespace multigres::orch
