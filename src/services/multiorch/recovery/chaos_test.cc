#include <gtest/gtest.h>

#include <cstdlib>

#include "common/consensus/equivocation.h"
#include "services/multiorch/recovery/testing_cluster.h"

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;
using testing_cluster::Cluster;

// Faults at random, writers all the time, then peace. The seed replays it.
class Chaos {
 public:
  Chaos(std::uint64_t seed, std::vector<std::string> members, int orchestrators)
      : cluster(std::move(members), orchestrators), random_(SeededRandom(seed)), writers_(cluster.io.get_executor()) {
    cluster.on_step = [this] { AfterStep(); };
  }
  ~Chaos() {
    cluster.on_step = nullptr;
    cluster.Finish(writers_.CancelAndJoin());
  }

  void Run(Duration duration) {
    for (Duration run{}; run < duration; run += 250ms) {
      Fault();
      cluster.Run(250ms);
      if (testing::Test::HasFailure()) return;
    }
  }

  void Heal() {
    for (const std::string& member : cluster.shard.members()) {
      cluster.shard.SetIsolated(member, false);
      cluster.shard.SetSilent(member, false);
      cluster.shard.SetFrozen(member, false);
      cluster.shard.SetDiskFrozen(member, false);
      if (!cluster.down.contains(member)) cluster.shard.StartPooler(member);
      for (auto& orchestrator : cluster.orchestrators) {
        if (orchestrator != nullptr) orchestrator->access.CutOff(member, false);
      }
    }
    for (const std::string& member : std::exchange(cluster.down, {})) cluster.shard.StartNode(member);
    cluster.shard.on_call = nullptr;
  }

  Cluster cluster;

 private:
  const std::string& Any() { return cluster.shard.members()[random_->Below(cluster.shard.members().size())]; }

  void Fault() {
    const std::string member = Any();
    auto& orchestrator = cluster.orchestrators[random_->Below(cluster.orchestrators.size())];
    switch (random_->Below(32)) {
      case 0:
        if (!cluster.down.contains(member)) cluster.shard.KillPostgres(member);
        break;
      case 1:
        if (cluster.down.insert(member).second) cluster.shard.KillNode(member);
        break;
      case 2:
      case 3:
        for (const std::string& down : std::exchange(cluster.down, {})) cluster.shard.StartNode(down);
        break;
      case 4:
        if (orchestrator != nullptr) orchestrator->access.CutOff(member, true);
        break;
      case 5:
        if (orchestrator != nullptr) orchestrator->access.CutOff(member, false);
        break;
      case 6:
        cluster.shard.SetIsolated(member, true);
        break;
      case 7:
      case 8:
        cluster.shard.SetIsolated(member, false);
        break;
      case 9:
        cluster.shard.DropConninfo(member);
        break;
      case 10:
        if (orchestrator != nullptr && random_->Below(3) == 0) {
          cluster.Kill(orchestrator);
          cluster.StartOrchestrator();
        }
        break;
      case 11:
        cluster.shard.on_call = [this](const std::string&, std::string_view) -> Result<> {
          if (random_->Below(4) == 0) return Fail(Code::kUnavailable, "lost");
          return {};
        };
        break;
      case 12:
        cluster.shard.on_call = nullptr;
        break;
      case 13:
        cluster.shard.SetFrozen(member, true);
        break;
      case 14:
        cluster.shard.SetDiskFrozen(member, true);
        break;
      case 15:
        if (!cluster.down.contains(member)) cluster.shard.KillPooler(member);
        break;
      case 16:
        cluster.shard.SetSilent(member, true);
        break;
      case 17:
      case 18:
      case 19:
      case 20:
        cluster.shard.SetSilent(member, false);
        cluster.shard.SetFrozen(member, false);
        cluster.shard.SetDiskFrozen(member, false);
        if (!cluster.down.contains(member)) cluster.shard.StartPooler(member);
        break;
      default:
        break;
    }
  }

  void AfterStep() {
    if (++steps_ % 20 == 0) Write();
    if (steps_ % 100 == 0) Check();
  }

  void Write() {
    const auto primaries = cluster.shard.Primaries();
    if (primaries.empty()) return;
    const std::string& primary = primaries[random_->Below(primaries.size())];
    writers_.Spawn("writer", [](Chaos& chaos, std::string primary, std::string value) -> Awaitable<void> {
      if (co_await chaos.cluster.shard.WriteAt(primary, value)) chaos.cluster.acked.push_back(value);
    }(*this, primary, fmt::format("w{}", ++written_)));
  }

  void Check() {
    std::vector<::clustermetadata::RulePosition> all;
    for (const std::string& member : cluster.shard.members()) {
      for (auto& rules : cluster.shard.RuleHistory(member)) all.push_back(std::move(rules));
    }
    std::vector<const ::clustermetadata::RulePosition*> positions;
    positions.reserve(all.size());
    for (const auto& rules : all) positions.push_back(&rules);
    auto consistent = consensus::CheckEquivocation(positions);
    EXPECT_TRUE(consistent) << consistent.error().message();
    CheckNothingLost();
  }

  // Whoever may write by the newest decision of all has every write that was ever acknowledged. (An old leader that is
  // cut off may still believe in itself; nobody acknowledges what it writes.)
  void CheckNothingLost() {
    std::string newest;
    for (const std::string& member : cluster.shard.members()) {
      if (newest.empty() || consensus::CompareRules(cluster.shard.Rules(member), cluster.shard.Rules(newest)) > 0) {
        newest = member;
      }
    }
    const auto primaries = cluster.shard.Primaries();
    auto at = std::ranges::find_if(primaries, [&](const std::string& primary) {
      return consensus::CompareRules(cluster.shard.Rules(primary), cluster.shard.Rules(newest)) == 0;
    });
    if (at == primaries.end()) return;
    newest = *at;
    const std::set<std::string> held = cluster.shard.Values(newest);
    for (const std::string& value : cluster.acked) {
      if (held.contains(value)) continue;
      ADD_FAILURE() << value << " is acknowledged, but " << newest << " lacks it";
      return;
    }
  }

  std::unique_ptr<Random> random_;
  int steps_ = 0;
  int written_ = 0;
  TaskGroup writers_;
};

struct Shape {
  std::vector<std::string> members;
  int orchestrators;
};
const Shape kShapes[] = {
    {{"z1_a", "z2_b", "z3_c"}, 1},
    {{"z1_a", "z2_b", "z3_c"}, 3},
    {{"z1_a", "z2_b", "z3_c", "z1_d", "z2_e"}, 2},
};

// MULTIORCH_CHAOS_SEEDS runs more of them, from MULTIORCH_CHAOS_FIRST on.
std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Chaos, LosesNothingAndSettlesOnceLeftInPeace) {
  const std::uint64_t first = FromEnvironment("MULTIORCH_CHAOS_FIRST", 1);
  const std::uint64_t seeds = FromEnvironment("MULTIORCH_CHAOS_SEEDS", 6);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Shape& shape = kShapes[seed % std::size(kShapes)];
    Chaos chaos(seed, shape.members, shape.orchestrators);
    ASSERT_TRUE(chaos.cluster.RunUntil([&] { return chaos.cluster.Settled(); })) << "seed " << seed;
    chaos.Run(60s);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    chaos.Heal();
    ASSERT_TRUE(chaos.cluster.RunUntil([&] { return !chaos.cluster.shard.Primary().empty(); }, 120s))
        << "no leader after the peace, seed " << seed;
    chaos.cluster.Run(20s);
    chaos.cluster.on_step = nullptr;
    ASSERT_TRUE(chaos.cluster.RunUntil([&] { return chaos.cluster.Settled(); }, 120s)) << "seed " << seed;
    chaos.cluster.ExpectNothingLost();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace multigres::orch
