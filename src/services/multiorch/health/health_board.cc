#include "services/multiorch/health/health_board.h"

#include <algorithm>

#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/wall_time.h"

namespace multigres::orch {
namespace {

using ::multipoolermanagerdata::StandbyReplicationStatus;
using ::multipoolermanagerdata::Status;

// When the standby's received WAL or replayed heartbeat row moved last, whichever is later.
std::optional<WallTime> LastProgress(const StandbyReplicationStatus& replication) {
  std::optional<WallTime> last;
  auto consider = [&last](bool reported, const ::google::protobuf::Timestamp& at) {
    if (reported) last = std::max(last.value_or(WallTime::min()), consensus::FromTimestamp(at));
  };
  consider(replication.has_leader_heartbeat_advanced_at(), replication.leader_heartbeat_advanced_at());
  consider(replication.has_last_receive_lsn_advance_time(), replication.last_receive_lsn_advance_time());
  return last;
}

}  // namespace

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
  Changed(pooler);
}

void HealthBoard::SetTombstone(const std::string& member) {
  auto at = poolers_.find(member);
  if (at == poolers_.end() || at->second.tombstoned) return;
  at->second.tombstoned = true;
  at->second.tombstoned_since = clock_.Now();
  at->second.stream_connected = false;
  Changed(at->second);
}

void HealthBoard::Forget(const std::string& member) {
  auto at = poolers_.find(member);
  if (at == poolers_.end()) return;
  Changed(at->second);
  poolers_.erase(at);
  meters_.erase(member);
}

void HealthBoard::Changed(const PoolerView& pooler) {
  changed_shards_.insert(ShardName(pooler.record->shard_key()));
  changed_.Set();
}

// Since when it has been so.
void HealthBoard::Mark(std::optional<TimePoint>& since, bool is_so) const {
  if (!is_so) since.reset();
  if (is_so && !since) since = clock_.Now();
}

// Measured from when it was first heard of, by whichever member: its own time is another machine's.
void HealthBoard::NotePromise(PoolerView& pooler, const ::multipoolermanagerdata::StatusResponse* before) const {
  const auto& promise = pooler.consensus().term_revocation();
  if (!consensus::IsSet(promise)) return pooler.promise_since.reset();
  if (before != nullptr && consensus::SameAttempt(promise, before->consensus_status().term_revocation())) return;
  TimePoint since = clock_.Now();
  const std::string shard = ShardName(pooler.record->shard_key());
  for (const auto& [member, other] : poolers_) {
    if (&other == &pooler || !other.promise_since || ShardName(other.record->shard_key()) != shard) continue;
    if (consensus::SameAttempt(promise, other.consensus().term_revocation())) {
      since = std::min(since, *other.promise_since);
    }
  }
  pooler.promise_since = since;
}

// What a standby sees is known only as of its PostgreSQL's last answer.
void HealthBoard::Measure(PoolerView& pooler, WallTime reported_at) {
  Meters& meters = meters_[pooler.member];
  const Status& status = pooler.postgres();
  std::optional<WallTime> answered;
  if (status.has_last_answer_time()) answered = consensus::FromTimestamp(status.last_answer_time());
  std::optional<WallTime> written;
  if (status.has_last_heartbeat_write_time() &&
      status.postgres_status() == ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY) {
    written = consensus::FromTimestamp(status.last_heartbeat_write_time());
  }
  meters.answers.Observe(answered, reported_at);
  meters.writes.Observe(written, reported_at);
  const WallTime looked_at = answered.value_or(reported_at);
  const bool standby = status.has_replication_status();
  if (standby && status.replication_status().wal_receiver_status() == "streaming") meters.last_streaming = looked_at;
  meters.progress.Observe(standby ? LastProgress(status.replication_status()) : std::nullopt, looked_at);
  meters.streaming.Observe(standby ? std::optional(meters.last_streaming) : std::nullopt, looked_at);
  pooler.answer_stall = meters.answers.stalled();
  pooler.write_stall = meters.writes.stalled();
  pooler.progress_stall = meters.progress.stalled();
  pooler.detached = meters.streaming.stalled();
}

void HealthBoard::SetConnected(const std::string& member, bool connected) {
  auto at = poolers_.find(member);
  if (at == poolers_.end() || at->second.stream_connected == connected) return;
  at->second.stream_connected = connected;
  Changed(at->second);
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
  const auto before =
      std::exchange(pooler.status, std::make_shared<const ::multipoolermanagerdata::StatusResponse>(std::move(status)));
  NotePromise(pooler, before.get());
  pooler.status_rules = consensus::Numbers(pooler.rules());
  const auto& availability = pooler.availability();
  Mark(pooler.ineligible_since,
       availability.cohort_eligibility_status().signal() == ::clustermetadata::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE);
  Mark(pooler.resigning_since,
       availability.leadership_status().signal() == ::clustermetadata::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION);
  Measure(pooler, captured_at.value_or(now));
  Changed(pooler);
}

void HealthBoard::SetConsensus(const std::string& member, const ::clustermetadata::ConsensusStatus& consensus) {
  auto at = poolers_.find(member);
  if (at == poolers_.end()) return;
  ::multipoolermanagerdata::StatusResponse status;
  PoolerView& pooler = at->second;
  if (pooler.status != nullptr) status = *pooler.status;
  *status.mutable_consensus_status() = consensus;
  const auto before =
      std::exchange(pooler.status, std::make_shared<const ::multipoolermanagerdata::StatusResponse>(std::move(status)));
  NotePromise(pooler, before.get());
  pooler.last_heard = clock_.Now();
  Changed(pooler);
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
