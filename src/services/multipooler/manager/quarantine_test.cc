#include "services/multipooler/manager/quarantine.h"

#include <gtest/gtest.h>

namespace multigres::pooler::manager {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint At(int seconds) {
  return TimePoint(std::chrono::seconds(1000 + seconds));
}

TEST(FailureStreak, NeedsBothTheTimeAndTheAttempts) {
  FailureStreak streak({.timeout = 60s, .min_attempts = 3});
  EXPECT_FALSE(streak.IsUnrecoverable(At(500)));
  streak.Failed(At(0));
  streak.Failed(At(100));
  EXPECT_FALSE(streak.IsUnrecoverable(At(100)));  // two attempts
  streak.Failed(At(101));
  EXPECT_TRUE(streak.IsUnrecoverable(At(101)));

  FailureStreak quick({.timeout = 60s, .min_attempts = 3});
  for (int i = 0; i < 9; ++i) quick.Failed(At(i));
  EXPECT_FALSE(quick.IsUnrecoverable(At(59)));
  EXPECT_TRUE(quick.IsUnrecoverable(At(60)));
}

TEST(FailureStreak, BeginsAnewOnceTheServerHasRun) {
  FailureStreak streak({.timeout = 60s, .min_attempts = 2});
  streak.Failed(At(0));
  streak.Failed(At(70));
  streak.Reset();
  EXPECT_FALSE(streak.IsUnrecoverable(At(71)));
  streak.Failed(At(80));
  streak.Failed(At(81));
  EXPECT_FALSE(streak.IsUnrecoverable(At(81)));
  EXPECT_TRUE(streak.IsUnrecoverable(At(140)));
}

TEST(FailureStreak, IsOffByDefault) {
  FailureStreak streak(QuarantineOptions{});
  for (int i = 0; i < 100; ++i) streak.Failed(At(i));
  EXPECT_FALSE(streak.IsUnrecoverable(At(100000)));
}

}  // namespace
}  // namespace multigres::pooler::manager
