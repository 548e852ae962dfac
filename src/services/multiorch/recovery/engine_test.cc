#include "services/multiorch/recovery/engine.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/testing.h"
#include "services/multiorch/health/memory_shard.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;

constexpr Duration kStep = 5ms;

// One orchestrator with its own view of the shard.
struct Orchestrator {
  Orchestrator(std::string name, std::uint64_t seed, asio::io_context& io, Clock& clock, MemoryShard& shard,
               ShardTopology& topology)
      : board(clock),
        access(shard, board),
        random(SeededRandom(seed)),
        engine(consensus::testing::Coordinator(std::move(name)), io.get_executor(), clock, *random, Logger(), board,
               access, topology, options) {
    options.cycle_interval = 500ms;
    access.Publish();
    engine.Start();
  }

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
      : shard(io.get_executor(), clock, std::move(members)), clients_(io.get_executor()) {
    topology.SetPolicy("postgres", consensus::AtLeast(2));
    for (int i = 0; i < orchestrators; ++i) StartOrchestrator();
  }

  ~Cluster() {
    shard.on_call = nullptr;
    for (auto& orchestrator : orchestrators) Kill(orchestrator);
    bool joined = false;
    asio::co_spawn(
        io,
        [](TaskGroup& clients, bool& joined) -> Awaitable<void> {
          co_await clients.CancelAndJoin();
          joined = true;
        }(clients_, joined),
        asio::detached);
    while (!joined) Step();
  }

  Orchestrator& StartOrchestrator() {
    const std::string name = fmt::format("orch{}", ++started_);
    orchestrators.push_back(std::make_unique<Orchestrator>(name, started_, io, clock, shard, topology));
    return *orchestrators.back();
  }

  // The process dies: what it had in flight is never heard of again.
  void Kill(std::unique_ptr<Orchestrator>& orchestrator) {
    if (orchestrator == nullptr) return;
    bool stopped = false;
    asio::co_spawn(
        io,
        [](Engine& engine, bool& stopped) -> Awaitable<void> {
          co_await engine.Stop();
          stopped = true;
        }(orchestrator->engine, stopped),
        asio::detached);
    while (!stopped) Step();
    orchestrator.reset();
  }

  void Step() {
    io.restart();
    io.poll();
    shard.Pump();
    if (++steps_ % 20 == 0) {
      for (auto& orchestrator : orchestrators) {
        if (orchestrator != nullptr) orchestrator->access.Publish();
      }
    }
    EXPECT_LE(shard.Primaries().size(), 1u) << "two primaries";
    clock.Advance(kStep);
  }

  void Run(Duration duration) {
    for (Duration run{}; run < duration; run += kStep) Step();
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
    for (const std::string& value : acked) EXPECT_TRUE(shard.Holds(shard.Primary(), value)) << value;
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
  std::vector<std::string> acked;

 private:
  int started_ = 0;
  int steps_ = 0;
  TaskGroup clients_;
};

TEST(Engine, InitializesAShard) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 5s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0");
  const auto rule = cluster.shard.Rules(cluster.shard.Primary()).decision();
  EXPECT_EQ(rule.cohort_members_size(), 3);
  EXPECT_EQ(rule.durability_policy().policy_name(), "AT_LEAST_2");
  cluster.Write("first");
  ASSERT_TRUE(cluster.RunUntil([&] { return !cluster.acked.empty(); }, 1s));
  cluster.Run(20s);
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0") << "nothing more to do";
  EXPECT_TRUE(cluster.orchestrators[0]->engine.Problems().empty());
}

TEST(Engine, WaitsForThePolicyOfTheTopology) {
  Cluster cluster;
  cluster.topology.SetReachable(false);
  cluster.Run(10s);
  EXPECT_EQ(cluster.shard.Calls("Recruit"), 0);
  cluster.topology.SetReachable(true);
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 10s));
}

TEST(Engine, AppointsAfterARestartOfTheWholeClusterWithoutTheTopology) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  cluster.topology.SetReachable(false);
  for (const std::string& member : cluster.shard.members()) cluster.shard.KillNode(member);
  cluster.Run(3s);
  for (const std::string& member : cluster.shard.members()) cluster.shard.StartNode(member);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 15s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "2.0");
  cluster.ExpectNothingLost();
}

TEST(Engine, AppointsWhenTheLeadersPostgresRestarted) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  cluster.shard.KillPostgres(cluster.shard.Primary());
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.shard.Primary().empty(); }));
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 15s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "2.0");
  cluster.ExpectNothingLost();
}

TEST(Engine, FailsOverWhenTheLeadersNodeIsGone) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  const std::string old = cluster.shard.Primary();
  cluster.down.insert(old);
  cluster.shard.KillNode(old);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 40s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "2.0");
  cluster.ExpectNothingLost();
  cluster.down.clear();
  cluster.shard.StartNode(old);
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 10s)) << "the old leader follows";
}

TEST(Engine, AFollowerThatFellOffIsReattached) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  const std::string follower = cluster.shard.Primary() == "z2_b" ? "z3_c" : "z2_b";
  cluster.shard.DropConninfo(follower);
  EXPECT_FALSE(cluster.Settled());
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 5s));
  cluster.shard.KillNode(follower);
  cluster.Run(2s);
  cluster.shard.StartNode(follower);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 5s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0") << "no election for a follower";
}

TEST(Engine, ANewPoolerJoinsTheCohort) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.shard.AddMember("z1_d");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled() && cluster.RuleOfPrimary() == "1.1"; }, 10s));
  EXPECT_EQ(cluster.shard.Rules(cluster.shard.Primary()).decision().cohort_members_size(), 4);
}

TEST(Engine, ARestartedFollowerKeepsItsPlaceInTheCohortAfterAShutdown) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  const std::string follower = cluster.shard.Primary() == "z2_b" ? "z3_c" : "z2_b";
  cluster.shard.SetShutDown(follower);
  cluster.Run(20s);
  cluster.shard.StartNode(follower);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 10s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0");
}

TEST(Engine, TwoOrchestratorsRacingMakeOneLeader) {
  for (int round = 0; round < 5; ++round) {
    Cluster cluster({"z1_a", "z2_b", "z3_c"}, 3);
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 30s));
    cluster.Write("kept");
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
    for (auto& orchestrator : cluster.orchestrators) orchestrator->options.graces.max_jitter = 0s;  // all at once
    cluster.shard.KillPostgres(cluster.shard.Primary());
    cluster.Run(100ms * (round + 1));
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 60s)) << round;
    cluster.ExpectNothingLost();
    cluster.Run(5s);
    EXPECT_TRUE(cluster.Settled());
  }
}

TEST(Engine, AnotherOrchestratorFinishesWhatADeadOneBegan) {
  for (std::string_view dies_at : {"Recruit", "Promote", "SetPrimary"}) {
    Cluster cluster;
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
    cluster.Write("kept");
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
    cluster.shard.KillPostgres(cluster.shard.Primary());
    const int before = cluster.shard.Calls(dies_at);
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.shard.Calls(dies_at) > before; }));
    cluster.Run(2 * kStep);
    cluster.Kill(cluster.orchestrators[0]);
    cluster.StartOrchestrator();
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 60s)) << dies_at;
    cluster.ExpectNothingLost();
  }
}

TEST(Engine, AProposalLeftUndecidedIsCarriedOver) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  // Nobody learns of the new leader: its proposal is written and never acknowledged.
  cluster.shard.on_call = [](const std::string&, std::string_view method) -> Result<> {
    if (method == "SetPrimary") return Fail(Code::kUnavailable, "lost");
    return {};
  };
  cluster.shard.KillPostgres(cluster.shard.Primary());
  auto open_proposal = [&] {
    return std::ranges::any_of(cluster.shard.members(), [&](const std::string& member) {
      return consensus::HasProposal(cluster.shard.Rules(member));
    });
  };
  ASSERT_TRUE(cluster.RunUntil(open_proposal, 30s));
  cluster.Kill(cluster.orchestrators[0]);
  cluster.shard.on_call = nullptr;
  cluster.StartOrchestrator();
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 90s));
  cluster.ExpectNothingLost();
}

TEST(Engine, AnOrchestratorCutOffFromALiveLeaderDoesNothing) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.orchestrators[0]->access.CutOff(cluster.shard.Primary(), true);
  const int recruits = cluster.shard.Calls("Recruit");
  cluster.Run(60s);
  EXPECT_EQ(cluster.shard.Calls("Recruit"), recruits);
  EXPECT_TRUE(cluster.Settled());
}

TEST(Engine, DisabledRecoveryStartsNothing) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  Engine& engine = cluster.orchestrators[0]->engine;
  bool drained = false;
  asio::co_spawn(
      cluster.io,
      [](Engine& engine, Clock& clock, bool& drained) -> Awaitable<void> {
        drained = co_await engine.Disable(clock.After(1s));
      }(engine, cluster.clock, drained),
      asio::detached);
  cluster.Run(100ms);
  EXPECT_TRUE(drained);
  cluster.shard.KillPostgres(cluster.shard.Primary());
  cluster.Run(30s);
  EXPECT_EQ(cluster.shard.Primary(), "");
  EXPECT_FALSE(engine.Problems().empty());
  engine.Enable();
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 20s));
}

TEST(Engine, TriggerNowSkipsTheGrace) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  Orchestrator& orchestrator = *cluster.orchestrators[0];
  orchestrator.options.graces = {.base = 50s, .max_jitter = 40s};
  cluster.shard.KillPostgres(cluster.shard.Primary());
  cluster.Run(2s);
  ASSERT_EQ(cluster.shard.Primary(), "");
  std::optional<std::vector<std::string>> remaining;
  asio::co_spawn(
      cluster.io,
      [](Engine& engine, std::optional<std::vector<std::string>>& remaining) -> Awaitable<void> {
        auto codes = co_await engine.TriggerNow(1);
        if (codes) remaining = std::move(*codes);
      }(orchestrator.engine, remaining),
      asio::detached);
  ASSERT_TRUE(cluster.RunUntil([&] { return remaining.has_value(); }, 8s));
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 8s));
}

}  // namespace
}  // namespace multigres::orch
