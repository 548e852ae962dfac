// The last failovers of the watched shards, step by step: what was noticed when, and how long each step took.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/multiorch/consensus/coordinator.h"
#include "services/multiorch/recovery/analysis_input.h"
#include "services/multiorch/recovery/problem.h"

namespace multigres::orch {

// Times by this orchestrator's clock; null = not seen, or not yet.
struct FailoverTimeline {
  ::clustermetadata::ShardKey shard;
  ProblemCode reason;  // as detected
  std::string description;
  std::string old_leader;  // empty = the rule named none
  ::clustermetadata::RuleNumber old_rule;
  std::string new_leader;
  ::clustermetadata::RuleNumber new_rule;
  std::string coordinator;  // who appointed; another one's attempt shows only what poolers report
  int attempts = 0;         // of this orchestrator

  std::optional<WallTime> last_sign;  // the last news from the old leader before
  std::optional<WallTime> detected;
  std::optional<WallTime> started;             // grace and second look are over
  std::optional<WallTime> recruited;           // enough members have promised
  std::optional<WallTime> promoted;            // the new leader is out of recovery
  std::optional<WallTime> rule_written;        // and its rule decided: clients may write
  std::optional<WallTime> followers_attached;  // all members that are there, but for the old leader
  std::optional<WallTime> first_write;         // its first heartbeat has been committed
  std::optional<WallTime> old_leader_back;     // it streams from the new one
  // The old leader was alive and replicating when it was replaced.
  bool needless = false;

  // Writes work again and everybody who is there follows.
  bool Settled() const { return rule_written && followers_attached && first_write; }
};

class FailoverLog {
 public:
  // Of those that are over, over all shards.
  static constexpr std::size_t kKept = 100;

  explicit FailoverLog(Logger logger) : logger_(std::move(logger)) {}

  // Told of every look at a shard. A leader's problem that goes away without a new leader leaves no trace.
  void Observe(const AnalysisInput& input, const std::vector<Problem>& problems);
  // This orchestrator appoints, or has.
  void Attempt(const std::string& shard, WallTime now);
  void Conclude(const std::string& shard, const RuleChange& change);
  // Called once for each failover, when it has settled.
  void SetListener(std::function<void(const FailoverTimeline&)> listener) { listener_ = std::move(listener); }

  // The latest first; those in progress or not followed to their end yet before the others.
  std::vector<FailoverTimeline> Timelines() const;

 private:
  struct Open {
    FailoverTimeline timeline;
    bool attempting = false;
    bool reported = false;
  };
  void Begin(const AnalysisInput& input, const Problem& problem);
  void Follow(Open& open, const AnalysisInput& input);
  void FollowNewLeader(FailoverTimeline& timeline, const AnalysisInput& input);
  void Close(const std::string& shard);
  void Report(const FailoverTimeline& timeline);

  Logger logger_;
  std::function<void(const FailoverTimeline&)> listener_;
  std::map<std::string, Open> open_;  // by shard
  std::deque<FailoverTimeline> closed_;
};

}  // namespace multigres::orch
