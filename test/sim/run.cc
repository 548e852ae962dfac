#include "test/sim/run.h"

#include "common/consensus/position.h"
#include "test/sim/faults.h"

namespace multigres::sim {

using std::chrono::seconds;

namespace {

constexpr Duration kStart = seconds(60);
constexpr Duration kSettle = seconds(400);
constexpr Duration kOneWrite = seconds(30);
constexpr Duration kLastWrites = seconds(6);

ClusterOptions ShapeOf(std::uint64_t seed, bool verbose) {
  auto random = SeededRandom(seed ^ 0x5eed);
  ClusterOptions options;
  options.seed = seed;
  const int members[] = {3, 3, 3, 3, 4, 5, 5, 6, 7, 2};
  options.members = members[random->Below(std::size(members))];
  options.cells = static_cast<int>(random->Between(2, 3));
  options.orchestrators = static_cast<int>(random->Between(1, 3));
  options.multi_cell = random->Below(4) == 0;
  options.from_bootstrap = random->Below(8) == 0;
  options.verbose = verbose;
  return options;
}

std::string TextOf(const ClusterOptions& options) {
  return fmt::format("{} members in {} cells, {} orchestrators, {}{}", options.members, options.cells,
                     options.orchestrators, options.multi_cell ? "MULTI_CELL_AT_LEAST_2" : "AT_LEAST_2",
                     options.from_bootstrap ? ", bootstrapped" : "");
}

// Why the shard didn't settle, if it should have.
std::optional<std::string> Play(Cluster& cluster, bool& needs_operator) {
  if (!cluster.RunUntil([&cluster] { return cluster.Settled(); }, kStart)) {
    return "no first leader: " + cluster.WhyNotSettled();
  }
  cluster.StartClients(2);
  auto random = SeededRandom(cluster.options.seed ^ 0xc4a05);
  Faults faults(cluster, *random);
  faults.Run(seconds(random->Between(10, 40)));
  if (cluster.trace.violation()) return std::nullopt;
  faults.MakePeace();
  if (!cluster.RunUntil([&cluster] { return cluster.Settled(); }, kSettle)) {
    needs_operator = faults.TakeAnOperator();
    if (needs_operator) return std::nullopt;
    return "not settled in peace: " + cluster.WhyNotSettled();
  }
  const std::size_t before = cluster.acknowledged_writes();
  if (!cluster.RunUntil([&] { return cluster.acknowledged_writes() > before; }, kOneWrite)) {
    return "no write is acknowledged in peace";
  }
  cluster.StopClients();
  cluster.Run(kLastWrites);
  // An orchestrator that was cut off may have begun an appointment of its own.
  if (!cluster.RunUntil([&cluster] { return cluster.Settled(); }, kSettle)) {
    return "not settled at the end: " + cluster.WhyNotSettled();
  }
  cluster.judge.CheckComplete(cluster.Serving()[0]->postgres, "at the end");
  return std::nullopt;
}

}  // namespace

Outcome RunSeed(std::uint64_t seed, bool verbose) {
  const ClusterOptions options = ShapeOf(seed, verbose);
  Outcome outcome;
  outcome.seed = seed;
  outcome.shape = TextOf(options);
  Cluster cluster(options);
  const auto unsettled = Play(cluster, outcome.needs_operator);
  if (unsettled && !cluster.trace.violation()) cluster.trace.Violate("{}", *unsettled);
  outcome.violation = cluster.trace.violation();
  outcome.digest = cluster.trace.digest();
  if (outcome.violation || verbose) outcome.trace = cluster.trace.Last();
  outcome.acknowledged = cluster.judge.acknowledged();
  for (std::size_t i = 0; i < cluster.hosts(); ++i) {
    const Rules rules = cluster.host(i).postgres.VisibleRules();
    if (rules == nullptr) continue;
    outcome.term = std::max(outcome.term, rules->decision().rule_number().coordinator_term());
  }
  return outcome;
}

}  // namespace multigres::sim
