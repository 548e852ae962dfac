#include "services/multiorch/recovery/graces.h"

#include <gtest/gtest.h>

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart{1000h};

TEST(Graces, TheFirstInRankActsAtOnceAndEveryNextOneLater) {
  auto random = SeededRandom(1);
  const GraceLimits limits;
  Graces graces(*random, limits);
  EXPECT_EQ(graces.Left("a", 0, false, kStart), 0s);
  EXPECT_EQ(graces.Left("b", 1, false, kStart), 300ms);
  EXPECT_EQ(graces.Left("c", 2, false, kStart), 600ms);
  EXPECT_EQ(graces.Left("c", 2, false, kStart + 400ms), 200ms);
  EXPECT_EQ(graces.Left("c", 2, false, kStart + 1s), 0s);
}

TEST(Graces, LastBaseToBasePlusJitterAndStayFixed) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto random = SeededRandom(seed);
    const GraceLimits limits{.stagger = 500ms, .base = 4s, .max_jitter = 8s};
    Graces graces(*random, limits);
    const Duration first = graces.Left("s", 1, false, kStart);
    EXPECT_GE(first, 4500ms);
    EXPECT_LE(first, 12500ms);
    EXPECT_EQ(graces.Left("s", 1, false, kStart + 4s), first - 4s);
  }
}

TEST(Graces, AnotherReasonDoesNotStartThemAnew) {
  auto random = SeededRandom(1);
  const GraceLimits limits{.stagger = 500ms, .base = 4s, .max_jitter = 0s};
  Graces graces(*random, limits);
  EXPECT_EQ(graces.Left("s", 1, false, kStart), 4500ms);
  EXPECT_EQ(graces.Left("s", 1, true, kStart + 500ms), 0s) << "a resigned leader needs no base";
  EXPECT_EQ(graces.Left("s", 1, false, kStart + 3s), 1500ms);
}

TEST(Graces, AreDroppedWithTheProblem) {
  auto random = SeededRandom(1);
  const GraceLimits limits{.stagger = 0s, .base = 4s, .max_jitter = 0s};
  Graces graces(*random, limits);
  EXPECT_EQ(graces.Left("s", 0, false, kStart), 4s);
  graces.Drop("s");
  EXPECT_EQ(graces.Left("s", 0, false, kStart + 4s), 4s);
  graces.Expire();
  EXPECT_EQ(graces.Left("s", 0, false, kStart + 4s), 0s);
}

TEST(Graces, BeginAnewAndAtRandomOnceAnothersAttemptIsOver) {
  auto random = SeededRandom(1);
  const GraceLimits limits;
  Graces graces(*random, limits);
  EXPECT_EQ(graces.Left("s", 1, false, kStart + 1s), 300ms);
  EXPECT_EQ(graces.Left("s", 1, false, kStart + 2s), 0s);
  graces.Contest("s");
  graces.Contest("s");
  const Duration left = graces.Left("s", 1, false, kStart + 6s);
  EXPECT_GT(left, 300ms);
  EXPECT_LT(left, 600ms);
  EXPECT_EQ(graces.Left("s", 1, false, kStart + 6s + 100ms), left - 100ms) << "stays fixed";
  graces.Contest("s");
  EXPECT_NE(graces.Left("s", 1, false, kStart + 6s), left) << "another draw";
}

TEST(Graces, NeverExceedAMinute) {
  auto random = SeededRandom(1);
  const GraceLimits limits{.stagger = 500ms, .base = 1h, .max_jitter = 1h};
  Graces graces(*random, limits);
  EXPECT_EQ(graces.Left("s", 3, false, kStart), 1min);
}

}  // namespace
}  // namespace multigres::orch
