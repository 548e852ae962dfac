#include "services/multiorch/recovery/engine.h"

#include "common/consensus/proposal.h"

namespace multigres::orch {
namespace {

constexpr Duration kPolicyTimeout = std::chrono::seconds(5);
constexpr Duration kRetryBase = std::chrono::milliseconds(100);
constexpr Duration kRetryMax = std::chrono::seconds(4);
constexpr int kMostDoublings = 6;
// After a second look that found nothing wrong.
constexpr Duration kLookAgain = std::chrono::milliseconds(200);

bool IsAppointment(const Problem& problem) {
  return problem.action == ActionKind::kAppointLeader;
}

bool SameProblem(const Problem& a, const Problem& b) {
  return a.code == b.code && a.member == b.member;
}

}  // namespace

Engine::Engine(::clustermetadata::ID self, Executor executor, Clock& clock, Random& random, Logger logger,
               HealthBoard& board, PoolerClients& clients, ShardTopology& topology, const EngineOptions& options,
               ActionOptions action_options, CoordinatorOptions coordinator_options)
    : self_(self),
      clock_(clock),
      logger_(logger),
      topology_(topology),
      options_(options),
      watch_(board, clock),
      graces_(random, options.graces),
      failovers_(logger),
      coordinator_(
          self, executor, clock, logger,
          [&board](const std::string& member, const ::clustermetadata::ConsensusStatus& status) {
            board.SetConsensus(member, status);
          },
          coordinator_options),
      runner_(self, executor, clock, logger, watch_, clients, topology, coordinator_, failovers_, options.thresholds,
              action_options),
      reconciler_(executor, clock, logger, watch_, clients),
      tasks_(executor) {}

void Engine::Start() {
  tasks_.Spawn("recovery", CycleLoop());
  tasks_.Spawn("reconcile", ReconcileLoop());
}

Awaitable<void> Engine::Stop() {
  enabled_ = false;
  co_await tasks_.CancelAndJoin();
  co_await runner_.Stop();
  co_await coordinator_.Stop();
  co_await reconciler_.Stop();
}

Awaitable<void> Engine::CycleLoop() {
  HealthBoard& board = watch_.board();
  TimePoint next_cycle = clock_.Now();
  while (true) {
    board.changed().Reset();
    if (clock_.Now() >= next_cycle) {
      Cycle();
      next_cycle = clock_.Now() + options_.cycle_interval;
    } else {
      std::set<std::string> shards = board.TakeChangedShards();
      for (const auto& [shard, at] : due_) {
        if (clock_.Now() >= at) shards.insert(shard);
      }
      for (const std::string& shard : shards) JudgeShard(shard);
    }
    TimePoint wake = next_cycle;
    for (const auto& [shard, at] : due_) wake = std::min(wake, at);
    (void)co_await board.changed().WaitUntil(clock_, Deadline(wake));
  }
}

Awaitable<void> Engine::ReconcileLoop() {
  while (true) {
    if (enabled_) reconciler_.Round(watch_.board().ShardNames());
    co_await SleepFor(clock_, Reconciler::kInterval);
  }
}

void Engine::Cycle() {
  (void)watch_.board().TakeChangedShards();
  const std::vector<std::string> shards = watch_.board().ShardNames();
  const auto gone = [&](const auto& entry) { return std::ranges::find(shards, entry.first) == shards.end(); };
  std::erase_if(problems_, gone);
  std::erase_if(due_, gone);
  for (const std::string& shard : shards) JudgeShard(shard);
}

void Engine::JudgeShard(const std::string& shard) {
  due_.erase(shard);
  ShardView view = watch_.View(shard);
  const ShardFacts facts = Examine(view);
  watch_.RecallRule(view, facts.rule().rule_number());
  const Moment now = watch_.Now();
  const std::vector<Problem> problems = Analyse(view, now, self_, options_.thresholds);
  const AnalysisInput input{view, facts, now, self_, options_.thresholds};
  failovers_.Observe(input, problems);
  Remember(shard, view, problems);
  const bool needs_policy = std::ranges::any_of(
      problems, [](const Problem& problem) { return problem.code == ProblemCode::kShardNeedsInitialization; });
  if (needs_policy && !view.bootstrap_policy && fetching_.insert(view.key.database()).second) {
    tasks_.Spawn("fetch policy", FetchPolicy(view.key.database()));
  }
  const bool may_appoint = MayAppoint(input, problems);
  if (!enabled_) return;
  for (const Problem& problem : Decide(problems)) {
    if (IsAppointment(problem) ? may_appoint : IsOurTurn(view, problem)) StartAction(shard, problem);
  }
}

void Engine::LookAgainAt(const std::string& shard, TimePoint at) {
  auto [due, fresh] = due_.try_emplace(shard, at);
  if (!fresh) due->second = std::min(due->second, at);
}

void Engine::Remember(const std::string& shard, const ShardView& view, std::vector<Problem> problems) {
  std::vector<DetectedProblem>& known = problems_[shard];
  std::vector<DetectedProblem> now;
  for (Problem& problem : problems) {
    auto before = std::ranges::find_if(
        known, [&](const DetectedProblem& detected) { return SameProblem(detected.problem, problem); });
    const WallTime detected_at = before == known.end() ? clock_.WallNow() : before->detected_at;
    const TimePoint since = before == known.end() ? clock_.Now() : before->since;
    if (before == known.end()) {
      logger_.Warn("problem detected", {{"shard", shard},
                                        {"problem", CodeText(problem.code)},
                                        {"pooler", problem.member},
                                        {"description", problem.description}});
    }
    now.push_back({std::move(problem), view.key, detected_at, since});
  }
  for (const DetectedProblem& before : known) {
    const bool stays = std::ranges::any_of(
        now, [&](const DetectedProblem& detected) { return SameProblem(detected.problem, before.problem); });
    if (stays) continue;
    logger_.Info("problem gone", {{"shard", shard},
                                  {"problem", CodeText(before.problem.code)},
                                  {"pooler", before.problem.member},
                                  {"lasted", clock_.Now() - before.since}});
  }
  known = std::move(now);
}

// The grace begins anew once another's attempt is over: several that have waited for it would act in one moment again,
// and take each other's recruits away.
bool Engine::MayAppoint(const AnalysisInput& input, const std::vector<Problem>& problems) {
  const std::string shard = ShardName(input.view.key);
  auto appointment = std::ranges::find_if(problems, IsAppointment);
  if (appointment == problems.end()) {
    graces_.Drop(shard);
    return false;
  }
  if (MustBackOff(input)) {
    graces_.Contest(shard);
    return false;
  }
  const bool resigned = appointment->code == ProblemCode::kLeaderResigned;
  const Duration left = graces_.Left(shard, RankIn(input.view), resigned, clock_.Now());
  if (left == Duration::zero()) return true;
  LookAgainAt(shard, clock_.Now() + left);
  return false;
}

// What isn't an appointment could be done by several at once, to no harm and no use: the better ones first here too.
bool Engine::IsOurTurn(const ShardView& view, const Problem& problem) {
  if (expediting_) return true;
  const std::string shard = ShardName(view.key);
  auto detected = std::ranges::find_if(
      problems_[shard], [&](const DetectedProblem& detected) { return SameProblem(detected.problem, problem); });
  if (detected == problems_[shard].end()) return true;
  const TimePoint turn = detected->since + options_.graces.stagger * RankIn(view);
  if (clock_.Now() >= turn) return true;
  LookAgainAt(shard, turn);
  return false;
}

// Another orchestrator's attempt is under way: it is left to finish, or to be over.
bool Engine::MustBackOff(const AnalysisInput& input) {
  const auto candidates = CandidatesOf(input.view, input.facts, input.now, input.thresholds);
  if (!consensus::MustBackOff(candidates, self_)) return false;
  LookAgainAt(ShardName(input.view.key), input.now.steady + kLookAgain);
  return true;
}

void Engine::StartAction(const std::string& shard, const Problem& problem) {
  std::string key = problem.IsShardWide() ? shard : shard + " " + problem.member;
  if (auto failed = failures_.find(key); failed != failures_.end() && clock_.Now() < failed->second.retry_at) {
    return LookAgainAt(shard, failed->second.retry_at);
  }
  if (acting_.contains(shard) || !acting_.insert(key).second) return;
  tasks_.Spawn("act", Act(std::move(key), shard, problem));
}

Awaitable<void> Engine::Act(std::string key, std::string shard, Problem problem) {
  struct Done {
    Engine& engine;
    const std::string& key;
    ~Done() {
      engine.acting_.erase(key);
      engine.idle_.Pulse();
    }
  } done{*this, key};
  auto outcome = co_await runner_.Run(shard, std::move(problem));
  if (outcome && *outcome == ActionRunner::Outcome::kDone) {
    failures_.erase(key);
    co_return;
  }
  Failures& failures = failures_[key];
  if (outcome) {
    failures = {.count = 0, .retry_at = clock_.Now() + kLookAgain};
  } else {
    failures.count = std::min(failures.count + 1, kMostDoublings);
    failures.retry_at = clock_.Now() + std::min(kRetryMax, kRetryBase * (1 << failures.count));
  }
  LookAgainAt(shard, failures.retry_at);
}

Awaitable<void> Engine::FetchPolicy(std::string database) {
  struct Done {
    std::set<std::string>& fetching;
    const std::string& database;
    ~Done() { fetching.erase(database); }
  } done{fetching_, database};
  auto policy = co_await topology_.BootstrapPolicy(database, clock_.After(kPolicyTimeout));
  if (policy) {
    watch_.SetPolicy(database, *policy);
  } else {
    logger_.Warn("bootstrap policy not readable", {{"database", database}, {"error", policy.error()}});
    co_await SleepFor(clock_, options_.cycle_interval);
  }
}

std::vector<DetectedProblem> Engine::Problems(const std::string& shard) const {
  std::vector<DetectedProblem> all;
  for (const auto& [name, problems] : problems_) {
    if (shard.empty() || name == shard) all.insert(all.end(), problems.begin(), problems.end());
  }
  return all;
}

Awaitable<bool> Engine::Disable(Deadline deadline) {
  enabled_ = false;
  while (!acting_.empty()) {
    const bool woken = co_await idle_.WaitUntil(clock_, deadline);
    if (!woken) break;
  }
  const bool idle = acting_.empty();
  co_return idle;
}

Awaitable<Result<std::vector<std::string>>> Engine::TriggerNow(int cycles) {
  if (!enabled_) co_return Fail(Code::kUnavailable, "recovery is disabled");
  for (int cycle = 0; cycle < cycles; ++cycle) {
    for (const std::string& shard : watch_.board().ShardNames()) {
      co_await runner_.Refresh(shard, Reconciler::kCallTimeout);
    }
    failures_.clear();
    Cycle();
    graces_.Expire();
    expediting_ = true;
    Cycle();
    expediting_ = false;
    if (acting_.empty()) break;
    while (!acting_.empty()) co_await idle_.Wait();
  }
  Cycle();
  std::vector<std::string> codes;
  for (const DetectedProblem& detected : Problems()) codes.emplace_back(CodeText(detected.problem.code));
  co_return codes;
}

Awaitable<Result<::clustermetadata::ShardRule>> Engine::ApplyCertified(
    std::string shard, ::clustermetadata::ExternallyCertifiedRevocation certificate,
    ::clustermetadata::ShardRule incoming, std::string reason, Deadline deadline) {
  while (!acting_.insert(shard).second) {
    if (co_await idle_.WaitUntil(clock_, deadline)) continue;
    co_return Fail(Code::kUnavailable, "another change of the shard is under way");
  }
  struct Done {
    Engine& engine;
    const std::string& shard;
    ~Done() {
      engine.acting_.erase(shard);
      engine.idle_.Pulse();
    }
  } done{*this, shard};
  co_await runner_.Refresh(shard, Reconciler::kCallTimeout);
  auto change = co_await coordinator_.ApplyCertified(runner_.Participants(shard), std::move(certificate),
                                                     std::move(incoming), std::move(reason), deadline);
  if (!change.rule) watch_.Abandon(shard, change.term);
  co_return std::move(change.rule);
}

}  // namespace multigres::orch
