// Carries out one action: looks again on fresh data first, and does nothing if its problem is gone. A leader that has
// given up by its own word isn't asked again.
#pragma once

#include <map>
#include <string>

#include "services/multiorch/consensus/coordinator.h"
#include "services/multiorch/recovery/analysis.h"
#include "services/multiorch/recovery/failover_log.h"
#include "services/multiorch/recovery/leader_analysis.h"
#include "services/multiorch/recovery/shard_topology.h"
#include "services/multiorch/recovery/shard_watch.h"
#include "tools/log/logger.h"

namespace multigres::orch {

struct ActionOptions {
  Duration poll_timeout = std::chrono::seconds(1);  // of the look at fresh data
  // Of the look before an appointment: who doesn't answer within it is judged by what its health stream said.
  Duration recheck_timeout = std::chrono::milliseconds(200);
  Duration appoint_timeout = std::chrono::seconds(65);  // ShardInit, AppointLeader
  Duration demote_timeout = std::chrono::seconds(60);
  Duration rule_timeout = std::chrono::seconds(30);  // add, remove, advance
  Duration replication_timeout = std::chrono::seconds(45);
  // Of FixReplication: until when, and how often, the follower is asked whether it streams.
  Duration verify_timeout = std::chrono::seconds(5);
  Duration verify_interval = std::chrono::milliseconds(500);
};

class ActionRunner {
 public:
  ActionRunner(::clustermetadata::ID self, Executor executor, Clock& clock, Logger logger, ShardWatch& watch,
               PoolerClients& clients, ShardTopology& topology, Coordinator& coordinator, FailoverLog& failovers,
               const Thresholds& thresholds, ActionOptions options = {});

  enum class Outcome {
    kDone,
    kGone,  // on fresh data there was nothing to do
  };
  // Logs and counts its own outcome. Returns after the action's timeout at the latest.
  Awaitable<Result<Outcome>> Run(std::string shard, Problem problem);
  // Asks every pooler of the shard for its status, at once, and waits for those that are expected to answer, at most
  // `limit`.
  Awaitable<void> Refresh(std::string shard, Duration limit);
  // Ends polls in progress. Await before destruction.
  Awaitable<void> Stop() { return polls_.CancelAndJoin(); }
  // Everybody of the shard, as the coordinator wants them.
  std::vector<Participant> Participants(const std::string& shard);

  // How often each action was carried out, by success, since the start.
  struct Counts {
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0;
  };
  const std::map<ActionKind, Counts>& counts() const { return counts_; }

 private:
  Awaitable<Result<>> Perform(std::string shard, Problem problem);
  Awaitable<Result<>> Initialize(std::string shard);
  Awaitable<Result<>> Appoint(std::string shard, std::string reason);
  Awaitable<Result<>> PointAtLeader(std::string shard, std::string member, Duration timeout);
  Awaitable<Result<>> FixReplication(std::string shard, std::string member);
  Awaitable<Result<>> ChangeRule(std::string shard, Problem problem);
  struct PollRound;
  Awaitable<void> Poll(std::string member, Deadline deadline);
  Awaitable<void> PollInRound(std::shared_ptr<PollRound> round, std::string member, bool awaited, Deadline deadline);
  Result<> Conclude(const std::string& shard, RuleChange change);

  ::clustermetadata::ID self_;
  Clock& clock_;
  Logger logger_;
  ShardWatch& watch_;
  PoolerClients& clients_;
  ShardTopology& topology_;
  Coordinator& coordinator_;
  FailoverLog& failovers_;
  const Thresholds& thresholds_;
  ActionOptions options_;
  std::map<ActionKind, Counts> counts_;
  TaskGroup polls_;
};

}  // namespace multigres::orch
