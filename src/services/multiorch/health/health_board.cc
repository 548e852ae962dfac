#include "services/multiorch/health/health_board.h"

#include <set>

#include "common/consensus/member.h"

namespace multigres::orch {

std::string ShardName(const ::clustermetadata::ShardKey& key) {
  return fmt::format("{}/{}/{}", key.database(), key.table_group(), key.shard());
}

void HealthBoard::SetRecord(std::shared_ptr<const ::clustermetadata::MultiPooler> record) {
  const bool shut_down = record->lifecycle_status().status() == ::clustermetadata::LIFECYCLE_SHUTDOWN;
  const std::string member = consensus::MemberText(record->id());
  auto [at, fresh] = poolers_.try_emplace(member);
  PoolerView& pooler = at->second;
  if (fresh) {
    pooler.member = member;
    pooler.known_since = clock_.Now();
  }
  pooler.record = std::move(record);
  if (shut_down) return SetTombstone(member);
  pooler.tombstoned = false;
  changed_.Set();
}

void HealthBoard::SetTombstone(const std::string& member) {
  auto at = poolers_.find(member);
  if (at == poolers_.end() || at->second.tombstoned) return;
  at->second.tombstoned = true;
  at->second.tombstoned_since = clock_.Now();
  at->second.stream_connected = false;
  changed_.Set();
}

void HealthBoard::Forget(const std::string& member) {
  poolers_.erase(member);
  changed_.Set();
}

void HealthBoard::SetConnected(const std::string& member, bool connected) {
  auto at = poolers_.find(member);
  if (at == poolers_.end() || at->second.stream_connected == connected) return;
  at->second.stream_connected = connected;
  changed_.Set();
}

void HealthBoard::SetStatus(const std::string& member, ::multipoolermanagerdata::StatusResponse status,
                            std::optional<WallTime> captured_at) {
  auto at = poolers_.find(member);
  if (at == poolers_.end()) return;
  PoolerView& pooler = at->second;
  pooler.last_heard = clock_.Now();
  if (status.status().postgres_ready()) pooler.last_ready = pooler.last_heard;
  const bool withheld = status.status().pooler_type() == ::clustermetadata::REPLICA &&
                        status.status().postgres_status() == ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY;
  if (!withheld || !pooler.last_not_withheld) pooler.last_not_withheld = pooler.last_heard;
  const WallTime now = clock_.WallNow();
  if (captured_at) pooler.clock_offset = *captured_at - now;
  if (!captured_at && pooler.clock_offset) captured_at = now + *pooler.clock_offset;
  pooler.captured_at = captured_at;
  pooler.status = std::make_shared<const ::multipoolermanagerdata::StatusResponse>(std::move(status));
  changed_.Set();
}

void HealthBoard::SetConsensus(const std::string& member, const ::clustermetadata::ConsensusStatus& consensus) {
  auto at = poolers_.find(member);
  if (at == poolers_.end()) return;
  ::multipoolermanagerdata::StatusResponse status;
  if (at->second.status != nullptr) status = *at->second.status;
  *status.mutable_consensus_status() = consensus;
  at->second.status = std::make_shared<const ::multipoolermanagerdata::StatusResponse>(std::move(status));
  at->second.last_heard = clock_.Now();
  changed_.Set();
}

std::vector<std::string> HealthBoard::ShardNames() const {
  std::set<std::string> names;
  for (const auto& [member, pooler] : poolers_) names.insert(ShardName(pooler.record->shard_key()));
  return {names.begin(), names.end()};
}

ShardView HealthBoard::View(const std::string& shard_name) const {
  ShardView view;
  for (const auto& [member, pooler] : poolers_) {
    if (ShardName(pooler.record->shard_key()) != shard_name) continue;
    view.key = pooler.record->shard_key();
    view.poolers.push_back(pooler);
  }
  return view;
}

const PoolerView* HealthBoard::Find(const std::string& member) const {
  auto at = poolers_.find(member);
  return at == poolers_.end() ? nullptr : &at->second;
}

}  // namespace multigres::orch
