// Everything that is known of the watched poolers, kept current by discovery and health streams.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/multiorch/health/shard_view.h"
#include "services/multiorch/health/stall_meter.h"
#include "tools/async/event.h"

namespace multigres::orch {

class HealthBoard {
 public:
  explicit HealthBoard(Clock& clock) : clock_(clock) {}

  // Discovery: a new or changed record. A record in LIFECYCLE_SHUTDOWN is a tombstone; a later one of the same id that
  // isn't revives the pooler.
  void SetRecord(std::shared_ptr<const ::clustermetadata::MultiPooler> record);
  // Its record says that it was shut down, or has been missing for long: no longer asked, kept as a tombstone.
  void SetTombstone(const std::string& member);
  void Forget(const std::string& member);

  // Health streams and answers. Without `captured_at` (an answer to Status, which is fresh) it is estimated from the
  // pooler's clock as of its last snapshot.
  void SetConnected(const std::string& member, bool connected);
  void SetStatus(const std::string& member, ::multipoolermanagerdata::StatusResponse status,
                 std::optional<WallTime> captured_at = std::nullopt);
  // From the answers of Recruit, Promote and SetPrimary, which carry this part alone.
  void SetConsensus(const std::string& member, const ::clustermetadata::ConsensusStatus& consensus);

  // Shards in the order of their names ("db/tg/shard").
  std::vector<std::string> ShardNames() const;
  // Poolers and key only; the rest of the view is its owner's.
  ShardView View(const std::string& shard_name) const;
  const PoolerView* Find(const std::string& member) const;

  // Set() whenever something changed; whoever reacts to it resets it.
  Event& changed() { return changed_; }
  // The shards that something changed in since the last call.
  std::set<std::string> TakeChangedShards() { return std::exchange(changed_shards_, {}); }

 private:
  // Who stalls: what it reports, as its clock tells.
  struct Meters {
    StallMeter answers;
    StallMeter writes;
    StallMeter progress;
    StallMeter streaming;
    WallTime last_streaming;
  };
  void Changed(const PoolerView& pooler);
  void NotePromise(PoolerView& pooler, const ::multipoolermanagerdata::StatusResponse* before) const;
  void Mark(std::optional<TimePoint>& since, bool is_so) const;
  void Measure(PoolerView& pooler, WallTime reported_at);

  Clock& clock_;
  std::map<std::string, PoolerView> poolers_;
  std::map<std::string, Meters> meters_;  // by member
  Event changed_;
  std::set<std::string> changed_shards_;
};

// "db/tg/shard"
std::string ShardName(const ::clustermetadata::ShardKey& key);

}  // namespace multigres::orch
