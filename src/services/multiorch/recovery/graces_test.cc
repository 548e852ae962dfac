#include "services/multiorch/recovery/graces.h"

#include <gtest/gtest.h>

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart{1000h};

TEST(Graces, LastBaseToBasePlusJitterAndStayFixed) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto random = SeededRandom(seed);
    const GraceLimits limits;
    Graces graces(*random, limits);
    EXPECT_FALSE(graces.Passed("s", false, kStart));
    EXPECT_FALSE(graces.Passed("s", false, kStart + 3999ms));
    EXPECT_TRUE(graces.Passed("s", false, kStart + 12s));
  }
}

TEST(Graces, AnotherReasonDoesNotStartThemAnew) {
  auto random = SeededRandom(1);
  const GraceLimits limits{.base = 4s, .max_jitter = 0s};
  Graces graces(*random, limits);
  EXPECT_FALSE(graces.Passed("s", false, kStart));
  EXPECT_TRUE(graces.Passed("s", true, kStart + 2s)) << "a resigned leader needs no base";
  EXPECT_FALSE(graces.Passed("s", false, kStart + 3s));
  EXPECT_TRUE(graces.Passed("s", false, kStart + 4s));
}

TEST(Graces, AreDroppedWithTheProblem) {
  auto random = SeededRandom(1);
  const GraceLimits limits{.base = 4s, .max_jitter = 0s};
  Graces graces(*random, limits);
  EXPECT_FALSE(graces.Passed("s", false, kStart));
  graces.Drop("s");
  EXPECT_FALSE(graces.Passed("s", false, kStart + 4s));
  graces.Expire();
  EXPECT_TRUE(graces.Passed("s", false, kStart + 4s));
}

TEST(Graces, NeverExceedAMinute) {
  auto random = SeededRandom(1);
  const GraceLimits limits{.base = 1h, .max_jitter = 1h};
  Graces graces(*random, limits);
  EXPECT_FALSE(graces.Passed("s", false, kStart));
  EXPECT_TRUE(graces.Passed("s", false, kStart + 1min));
}

}  // namespace
}  // namespace multigres::orch
