// One multiorch: discovers the poolers of its shards, follows their health, and keeps each shard with a leader.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/servenv/status_page.h"
#include "common/topoclient/pooler_cache.h"
#include "common/topoclient/registration.h"
#include "services/multiorch/config.h"
#include "services/multiorch/orch_service.h"
#include "services/multiorch/pooler_connections.h"
#include "services/multiorch/roster.h"
#include "services/multiorch/topo_shard_topology.h"
#include "services/multiorch/watch_targets.h"

namespace multigres::orch {

class Service final : private topo::PoolerCache::Listener {
 public:
  // `config` must outlive the service; its live fields are read as they change.
  Service(const Config& config, WatchTargets targets, clustermetadata::ID self, Reactor& reactor, topo::Store& store,
          Random& random, Logger logger, rpc::ChannelOptions channel);
  ~Service();

  // Registers `record` (going on in the background if that fails) and starts watching.
  Awaitable<void> Start(clustermetadata::MultiOrch record);
  // Await before destruction.
  Awaitable<void> Stop();
  // From now on these shards; poolers that match no longer are forgotten.
  void SetTargets(WatchTargets targets);

  // Registered, and the topology's cells are readable within 4 s.
  Awaitable<Result<>> CheckReady();
  // "" or what keeps it from having started well.
  std::string InitializationStatus() const;
  std::vector<servenv::StatusTable> StatusTables() const;

  OrchService& grpc() { return grpc_; }
  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }
  const HealthBoard& board() const { return board_; }

 private:
  void OnUpsert(const topo::PoolerCache::Entry& entry) override;
  void OnGone(const std::string& component_id) override;
  Awaitable<void> StartEngine();
  Awaitable<void> Sweep();
  Awaitable<void> DeleteOldRecords();

  topo::Store& store_;
  Clock& clock_;
  WatchTargets targets_;
  ConnectionContext context_;
  HealthBoard board_;
  PoolerConnections connections_;
  TopoShardTopology topology_;
  Engine engine_;
  OrchService grpc_;
  topo::PoolerCache cache_;
  topo::PoolerDiscovery discovery_;
  Roster roster_;
  std::unique_ptr<topo::OrchRegistration> registration_;  // from Start() on
  std::map<std::string, std::string> members_;            // by component id
  TaskGroup tasks_;
};

}  // namespace multigres::orch
