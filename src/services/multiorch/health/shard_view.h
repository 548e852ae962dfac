// What one orchestrator knows about a shard at a moment, as plain values: decisions are functions of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clustermetadata.pb.h"
#include "multipoolermanagerdata.pb.h"
#include "tools/clock/clock.h"

namespace multigres::orch {

// Now, by the steady clock, which all ages are measured by, and by the wall clock, for what others are to read.
struct Moment {
  TimePoint steady;
  WallTime wall;
};

struct PoolerView {
  std::string member;  // "{cell}_{name}"
  std::shared_ptr<const ::clustermetadata::MultiPooler> record;
  bool tombstoned = false;  // its record says LIFECYCLE_SHUTDOWN, or it is long gone
  TimePoint known_since;    // when this orchestrator first knew of it
  TimePoint tombstoned_since;
  bool stream_connected = false;
  std::optional<TimePoint> last_heard;  // the last snapshot or answer
  std::optional<TimePoint> last_ready;  // the last one that said postgres_ready
  // The last one that didn't say PoolerType REPLICA while PostgreSQL runs as a primary: since then it admits no writes.
  std::optional<TimePoint> last_not_withheld;
  std::optional<TimePoint> ineligible_since;  // null while it is eligible, or not known
  std::optional<TimePoint> resigning_since;   // null while it doesn't ask for its demotion
  // Since when this orchestrator knows of the attempt that it has promised itself to, by whichever member; null =
  // none.
  std::optional<TimePoint> promise_since;
  // What has stood still, and for how long, by the pooler's own clock and while it was able to look (StallMeter). Null
  // = it doesn't report that.
  std::optional<Duration> answer_stall;    // PostgreSQL's answers to its probes
  std::optional<Duration> write_stall;     // a leader's heartbeat commits
  std::optional<Duration> progress_stall;  // what a standby receives and replays: neither WAL nor heartbeat row moved
  std::optional<Duration> detached;        // a standby's receiver: not streaming
  std::optional<WallTime> captured_at;     // of the last status, by the pooler's clock
  std::optional<Duration> clock_offset;    // the pooler's clock less ours, as of the last snapshot
  // The last status; null if there was never one. Its consensus part may be newer than the rest.
  std::shared_ptr<const ::multipoolermanagerdata::StatusResponse> status;
  // The rules that came with the status itself: what its PostgreSQL says about itself belongs to these.
  ::clustermetadata::RuleNumberPosition status_rules;

  const ::multipoolermanagerdata::Status& postgres() const;
  const ::clustermetadata::ConsensusStatus& consensus() const;
  const ::clustermetadata::AvailabilityStatus& availability() const;
  const ::clustermetadata::RulePosition& rules() const { return consensus().current_position().position(); }
  // Where its PostgreSQL listens, for followers: host name and port_map["postgres"].
  ::clustermetadata::PoolerAddress Address() const;
};

struct ShardView {
  ::clustermetadata::ShardKey key;
  std::vector<PoolerView> poolers;  // sorted by member
  // The database's, if it could be read so far: needed only to initialise the shard.
  std::optional<::clustermetadata::DurabilityPolicy> bootstrap_policy;
  // The highest term that this orchestrator tried and knows to have failed.
  std::int64_t abandoned_term = 0;
  // The highest rule that this orchestrator has seen in the shard, and since when.
  ::clustermetadata::RuleNumber known_rule;
  TimePoint rule_known_since;

  const PoolerView* Find(std::string_view member) const;
};

}  // namespace multigres::orch
