// Chooses the pooler for a call. Pure: knows what it was told, waits for nothing.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "services/multigateway/poolergateway/pooler_record.h"
#include "tools/random/random.h"

namespace multigres::gateway::poolergateway {

struct LoadBalancerOptions {
  std::string local_cell;
  // Replicas that lag more come second; 0 lag means unknown and comes first.
  Duration low_replication_lag = std::chrono::seconds(30);
  // Replicas that lag more aren't used at all; 0 = no limit.
  Duration high_replication_lag_tolerance{0};
};

struct ShardTarget {
  std::string_view database;
  std::string_view table_group;
  std::string_view shard;
};

// The leader of a shard is the pooler whose live health stream says PRIMARY under the highest rule, unless another live
// pooler of the shard knows of a later term: the claim is stale then (its host is frozen or cut off). The type in the
// topology is never looked at. A replica is any pooler of the shard that doesn't claim to lead: first those that lag
// little, then the rest; in each, local and serving, remote and serving, not serving; at random among equals. A serving
// replica that lags beats one that doesn't serve.
class LoadBalancer {
 public:
  LoadBalancer(LoadBalancerOptions options, Random& random) : options_(std::move(options)), random_(random) {}

  void Upsert(const PoolerRecord& record);
  void Remove(std::string_view id);
  void SetHealth(std::string_view id, const PoolerHealth& health);

  // The pooler's id, or null if there is none. Valid until the next change.
  const std::string* PickLeader(const ShardTarget& target) const;
  const std::string* PickReplica(const ShardTarget& target);
  // Does the shard's leader serve, by its own word?
  bool LeaderServes(const ShardTarget& target) const;
  // Any pooler whose stream is up, of any shard: for what is the same on all servers.
  const std::string* PickAny();

  struct Entry {
    PoolerRecord record;
    PoolerHealth health;
  };
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }

 private:
  static bool Serves(const Entry& entry, const ShardTarget& target);
  // Smaller is better; negative = not at all.
  int RankAsReplica(const Entry& entry) const;
  const std::string* PickRandom(const std::vector<const std::string*>& equals);

  LoadBalancerOptions options_;
  Random& random_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<const std::string*> candidates_;  // kept for its memory
};

}  // namespace multigres::gateway::poolergateway
