#include "services/multigateway/poolergateway/load_balancer.h"

#include <algorithm>
#include <limits>

namespace multigres::gateway::poolergateway {

void LoadBalancer::Upsert(const PoolerRecord& record) {
  entries_[record.id].record = record;
}

void LoadBalancer::Remove(std::string_view id) {
  auto it = entries_.find(id);
  if (it != entries_.end()) entries_.erase(it);
}

void LoadBalancer::SetHealth(std::string_view id, const PoolerHealth& health) {
  auto it = entries_.find(id);
  if (it != entries_.end()) it->second.health = health;
}

bool LoadBalancer::Serves(const Entry& entry, const ShardTarget& target) {
  return entry.record.database == target.database && entry.record.table_group == target.table_group &&
         entry.record.shard == target.shard;
}

const std::string* LoadBalancer::PickLeader(const ShardTarget& target) const {
  const Entry* leader = nullptr;
  std::int64_t latest_term = 0;
  for (const auto& [id, entry] : entries_) {
    if (!entry.health.live || !Serves(entry, target)) continue;
    latest_term = std::max(latest_term, entry.health.rule.coordinator_term);
    if (!entry.health.primary) continue;
    if (leader == nullptr || entry.health.rule > leader->health.rule) leader = &entry;
  }
  // Subterms change under the same leader, whose own word may come after a follower's.
  if (leader == nullptr || leader->health.rule.coordinator_term < latest_term) return nullptr;
  return &leader->record.id;
}

bool LoadBalancer::LeaderServes(const ShardTarget& target) const {
  const std::string* leader = PickLeader(target);
  return leader != nullptr && entries_.find(*leader)->second.health.serving == Serving::kServing;
}

int LoadBalancer::RankAsReplica(const Entry& entry) const {
  const PoolerHealth& health = entry.health;
  if (health.primary && health.live) return -1;
  bool too_late = options_.high_replication_lag_tolerance > Duration::zero() &&
                  health.replication_lag > options_.high_replication_lag_tolerance;
  if (too_late) return -1;
  bool serving = health.live && health.serving == Serving::kServing;
  int tier = health.replication_lag <= options_.low_replication_lag ? 0 : 1;
  bool local = entry.record.cell == options_.local_cell;
  if (serving) return tier * 2 + (local ? 0 : 1);
  // Not serving by the last word: worth a try only where nothing better is there, and only at home.
  return local ? 4 + tier : -1;
}

const std::string* LoadBalancer::PickRandom(const std::vector<const std::string*>& equals) {
  if (equals.empty()) return nullptr;
  return equals.size() == 1 ? equals.front() : equals[random_.Below(equals.size())];
}

const std::string* LoadBalancer::PickReplica(const ShardTarget& target) {
  int best = std::numeric_limits<int>::max();
  candidates_.clear();
  for (const auto& [id, entry] : entries_) {
    if (!Serves(entry, target)) continue;
    int rank = RankAsReplica(entry);
    if (rank < 0 || rank > best) continue;
    if (rank < best) candidates_.clear();
    best = rank;
    candidates_.push_back(&entry.record.id);
  }
  return PickRandom(candidates_);
}

const std::string* LoadBalancer::PickAny() {
  candidates_.clear();
  for (const auto& [id, entry] : entries_) {
    if (entry.health.live && entry.health.serving == Serving::kServing) candidates_.push_back(&entry.record.id);
  }
  return PickRandom(candidates_);
}

}  // namespace multigres::gateway::poolergateway
