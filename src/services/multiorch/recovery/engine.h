// The recovery loop of one orchestrator: look, judge, wait out graces, act. Holds no lock with other orchestrators.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/multiorch/recovery/action_runner.h"
#include "services/multiorch/recovery/graces.h"
#include "services/multiorch/recovery/reconciler.h"
#include "tools/random/random.h"

namespace multigres::orch {

// Lives in the configuration: changes apply at once.
struct EngineOptions {
  // News about a shard are judged when they come; this often all shards are looked at anyway.
  Duration cycle_interval = std::chrono::seconds(1);
  GraceLimits graces;
  Thresholds thresholds;
};

struct DetectedProblem {
  Problem problem;
  ::clustermetadata::ShardKey shard;
  WallTime detected_at;
  TimePoint since;  // the same by the steady clock
};

class Engine {
 public:
  // Everything passed by reference must outlive the engine.
  Engine(::clustermetadata::ID self, Executor executor, Clock& clock, Random& random, Logger logger, HealthBoard& board,
         PoolerClients& clients, ShardTopology& topology, const EngineOptions& options,
         ActionOptions action_options = {}, CoordinatorOptions coordinator_options = {});

  // This orchestrator's place among those that look after a shard, 0 = first: the better ones are left time to act.
  // Asked at every look; without it everybody is first.
  void SetRank(std::function<int(const ::clustermetadata::ShardKey&)> rank) { rank_ = std::move(rank); }

  void Start();
  // Cancels what is in progress; poolers may be left at any step. Await before destruction.
  Awaitable<void> Stop();

  // As of the last cycle, of one shard ("db/tg/shard"), or of all ("").
  std::vector<DetectedProblem> Problems(const std::string& shard = "") const;

  const std::map<ActionKind, ActionRunner::Counts>& action_counts() const { return runner_.counts(); }
  FailoverLog& failovers() { return failovers_; }
  const FailoverLog& failovers() const { return failovers_; }

  bool enabled() const { return enabled_; }
  void Enable() { enabled_ = true; }
  // Starts nothing new, and waits for what is running: false if the deadline came first.
  Awaitable<bool> Disable(Deadline deadline);
  // Asks all poolers again, lets all graces pass, and runs up to `cycles` cycles, each with its actions, until nothing
  // actionable is left. UNAVAILABLE while disabled. Returns the codes of the problems that remain.
  Awaitable<Result<std::vector<std::string>>> TriggerNow(int cycles);
  // See Coordinator::ApplyCertified(). Polls the shard first; waits for an action of the shard that is running.
  Awaitable<Result<::clustermetadata::ShardRule>> ApplyCertified(
      std::string shard, ::clustermetadata::ExternallyCertifiedRevocation certificate,
      ::clustermetadata::ShardRule incoming, std::string reason, Deadline deadline);

 private:
  Awaitable<void> CycleLoop();
  Awaitable<void> ReconcileLoop();
  void Cycle();
  void JudgeShard(const std::string& shard);
  void Remember(const std::string& shard, const ShardView& view, std::vector<Problem> problems);
  bool MayAppoint(const AnalysisInput& input, const std::vector<Problem>& problems);
  bool MustBackOff(const AnalysisInput& input);
  bool IsOurTurn(const ShardView& view, const Problem& problem);
  int RankIn(const ShardView& view) const { return rank_ ? rank_(view.key) : 0; }
  void LookAgainAt(const std::string& shard, TimePoint at);
  void StartAction(const std::string& shard, const Problem& problem);
  Awaitable<void> Act(std::string key, std::string shard, Problem problem);
  Awaitable<void> FetchPolicy(std::string database);

  ::clustermetadata::ID self_;
  Clock& clock_;
  Logger logger_;
  ShardTopology& topology_;
  const EngineOptions& options_;
  ShardWatch watch_;
  Graces graces_;
  std::function<int(const ::clustermetadata::ShardKey&)> rank_;
  FailoverLog failovers_;
  Coordinator coordinator_;
  ActionRunner runner_;
  Reconciler reconciler_;
  bool enabled_ = true;
  bool expediting_ = false;                                       // repairs don't wait for their turn
  std::map<std::string, TimePoint> due_;                          // shards to look at again, news or not
  std::map<std::string, std::vector<DetectedProblem>> problems_;  // by shard
  std::set<std::string> acting_;                                  // keys: shards, and "shard member"
  // What failed is tried again later and later, so that a hopeless action neither floods the log nor the poolers.
  struct Failures {
    int count = 0;
    TimePoint retry_at;
  };
  std::map<std::string, Failures> failures_;  // by key
  std::set<std::string> fetching_;            // databases
  Event idle_;
  TaskGroup tasks_;
};

}  // namespace multigres::orch
