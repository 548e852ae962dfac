// A shard of poolers in memory with its orchestrators, on one thread and a virtual clock, for this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <cstdlib>
#include <functional>
#include <set>

#include "common/consensus/position.h"
#include "common/consensus/testing.h"
#include "services/multiorch/health/memory_shard.h"
#include "services/multiorch/recovery/engine.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::orch::testing_cluster {

using namespace std::chrono_literals;

inline constexpr Duration kStep = 5ms;

// MULTIORCH_TEST_LOG=1 shows what happens, by the virtual clock.
inline Logger LogOf(Clock& clock) {
  if (std::getenv("MULTIORCH_TEST_LOG") == nullptr) return {};
  return Logger::Create(
      {.level = LogLevel::kDebug, .format = LogFormat::kText, .now = [&clock] { return clock.WallNow(); }});
}

// The cluster's clock, with a wall that is off.
class SkewedClock final : public Clock {
 public:
  SkewedClock(Clock& clock, Duration skew) : clock_(clock), skew_(skew) {}
  TimePoint Now() const override { return clock_.Now(); }
  WallTime WallNow() const override { return clock_.WallNow() + skew_; }
  Timer ScheduleAt(TimePoint at, std::move_only_function<void()> callback) override {
    return clock_.ScheduleAt(at, std::move(callback));
  }

 private:
  void CancelTimer(std::uint64_t /*id*/) override {}  // timers are the other clock's

  Clock& clock_;
  Duration skew_;
};

// One orchestrator with its own view of the shard.
struct Orchestrator {
  Orchestrator(std::string name, int rank, Duration skew, asio::io_context& io, Clock& cluster_clock,
               MemoryShard& shard, ShardTopology& topology)
      : clock(cluster_clock, skew),
        board(clock),
        access(shard, board),
        random(SeededRandom(static_cast<std::uint64_t>(rank) + 1)),
        engine(consensus::testing::Coordinator(std::move(name)), io.get_executor(), clock, *random, LogOf(clock), board,
               access, topology, options) {
    engine.SetRank([rank](const ::clustermetadata::ShardKey&) { return rank; });
    access.Publish();
    engine.Start();
  }

  SkewedClock clock;
  HealthBoard board;
  MemoryShard::Access access;
  std::unique_ptr<Random> random;
  EngineOptions options;
  Engine engine;
};

// Everything on one thread and a virtual clock: the same seed, the same run.
class Cluster {
 public:
  explicit Cluster(std::vector<std::string> members = {"z1_a", "z2_b", "z3_c"}, int orchestrators = 1)
      : shard(io.get_executor(), clock, std::move(members), LogOf(clock)), clients_(io.get_executor()) {
    topology.SetPolicy("postgres", consensus::AtLeast(2));
    for (int i = 0; i < orchestrators; ++i) StartOrchestrator();
  }

  ~Cluster() {
    shard.on_call = nullptr;
    for (auto& orchestrator : orchestrators) Kill(orchestrator);
    Finish(clients_.CancelAndJoin());
  }

  // The next in rank.
  Orchestrator& StartOrchestrator(Duration skew = {}) {
    const std::string name = fmt::format("orch{}", ++started_);
    orchestrators.push_back(std::make_unique<Orchestrator>(name, started_ - 1, skew, io, clock, shard, topology));
    return *orchestrators.back();
  }

  // The process dies: what it had in flight is never heard of again.
  void Kill(std::unique_ptr<Orchestrator>& orchestrator) {
    if (orchestrator == nullptr) return;
    Finish(orchestrator->engine.Stop());
    orchestrator.reset();
  }

  // Steps until the task has ended.
  void Finish(Awaitable<void> task) {
    bool ended = false;
    asio::co_spawn(io, std::move(task), [&ended](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);
      ended = true;
    });
    while (!ended) Step();  // NOLINT(bugprone-infinite-loop): its end is heard in a step
  }

  void Step() {
    io.restart();
    io.poll();
    shard.Pump();
    if (++steps_ % 20 == 0 && publishing) {
      for (auto& orchestrator : orchestrators) {
        if (orchestrator != nullptr) orchestrator->access.Publish();
      }
    }
    clock.Advance(kStep);
  }

  void Run(Duration duration) {
    for (Duration run{}; run < duration; run += kStep) Step();
  }

  // How long until then; nullopt if it takes longer than the limit.
  std::optional<Duration> TimeUntil(const std::function<bool()>& condition, Duration limit = 60s) {
    const TimePoint began = clock.Now();
    if (!RunUntil(condition, limit)) return std::nullopt;
    return clock.Now() - began;
  }

  bool RunUntil(const std::function<bool()>& condition, Duration limit = 60s) {
    for (Duration run{}; run < limit; run += kStep) {
      if (condition()) return true;
      Step();
    }
    return condition();
  }

  // One leader, and everybody else who is up streams from it, all of it.
  bool Settled() const {
    const std::string primary = shard.Primary();
    if (primary.empty() || consensus::HasProposal(shard.Rules(primary))) return false;
    return std::ranges::all_of(shard.members(), [&](const std::string& member) {
      return member == primary || down.contains(member) || shard.Follows(member, primary);
    });
  }

  // Client writes, one after the other; acked ones are remembered.
  void Write(const std::string& value) {
    clients_.Spawn("client", [](Cluster& cluster, std::string value) -> Awaitable<void> {
      if (co_await cluster.shard.Write(value)) cluster.acked.push_back(value);
    }(*this, value));
  }
  void ExpectNothingLost() {
    ASSERT_FALSE(shard.Primary().empty());
    const std::set<std::string> held = shard.Values(shard.Primary());
    for (const std::string& value : acked) EXPECT_TRUE(held.contains(value)) << value;
  }
  std::string RuleOfPrimary() const {
    return shard.Primary().empty() ? "" : consensus::RulePositionText(shard.Rules(shard.Primary()));
  }

  asio::io_context io{1};
  VirtualClock clock;
  MemoryShard shard;
  MemoryShardTopology topology;
  std::vector<std::unique_ptr<Orchestrator>> orchestrators;
  std::set<std::string> down;
  bool publishing = true;  // health streams deliver
  std::vector<std::string> acked;

 private:
  int started_ = 0;
  int steps_ = 0;
  TaskGroup clients_;
};

}  // namespace multigres::orch::testing_cluster
