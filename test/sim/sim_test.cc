#include <gtest/gtest.h>

#include <cstdlib>

#include "test/sim/run.h"

namespace multigres::sim {
namespace {

// SIM_SEEDS runs more of them, from SIM_FIRST on; `make sim` does on all cores.
std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Simulation, LosesNothingAndSettlesOnceLeftInPeace) {
  const std::uint64_t first = FromEnvironment("SIM_FIRST", 1);
  const std::uint64_t seeds = FromEnvironment("SIM_SEEDS", 500);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Outcome outcome = RunSeed(seed);
    ASSERT_FALSE(outcome.violation) << "seed " << seed << ", " << outcome.shape << ": " << *outcome.violation
                                    << "\nreplay: sim --seed " << seed << " --verbose\n"
                                    << outcome.trace;
  }
}

// Runs that found something once (docs/simulation.md). They find it no more often than others when the code has changed
// much, but they cost little.
TEST(Simulation, SettlesWhereItOnceDidNot) {
  for (std::uint64_t seed : {101, 207, 5450, 6008, 7251, 9578, 14125, 100025, 100245, 100319, 101810}) {
    const Outcome outcome = RunSeed(seed);
    EXPECT_FALSE(outcome.violation) << "seed " << seed << ", " << outcome.shape << ": " << *outcome.violation << "\n"
                                    << outcome.trace;
  }
}

TEST(Simulation, IsTheSameRunForTheSameSeed) {
  for (std::uint64_t seed : {3, 8, 21}) {
    EXPECT_EQ(RunSeed(seed).digest, RunSeed(seed).digest) << seed;
    EXPECT_EQ(RunSeed(seed, true).digest, RunSeed(seed).digest) << seed;
  }
}

}  // namespace
}  // namespace multigres::sim
