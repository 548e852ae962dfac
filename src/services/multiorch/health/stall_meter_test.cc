#include "services/multiorch/health/stall_meter.h"

#include <gtest/gtest.h>

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kStart{1000h};

TEST(StallMeter, CountsWhileTheReadingStandsStill) {
  StallMeter meter;
  EXPECT_EQ(meter.stalled(), std::nullopt);
  meter.Observe(kStart, kStart + 50ms);
  EXPECT_EQ(meter.stalled(), 50ms) << "it was that old when it came";
  for (int i = 1; i <= 5; ++i) meter.Observe(kStart, kStart + 50ms + i * 200ms);
  EXPECT_EQ(meter.stalled(), 1050ms);
  meter.Observe(kStart + 1s, kStart + 1100ms);
  EXPECT_EQ(meter.stalled(), 100ms);
}

TEST(StallMeter, DoesNotBlameTheReadingForAReporterThatStoodStill) {
  StallMeter meter;
  meter.Observe(kStart, kStart);
  meter.Observe(kStart, kStart + 10s);
  EXPECT_EQ(meter.stalled(), StallMeter::kLongestStep);
}

TEST(StallMeter, TakesAnOldReadingAsOneStepAtMost) {
  StallMeter meter;
  meter.Observe(kStart - 1h, kStart);
  EXPECT_EQ(meter.stalled(), StallMeter::kLongestStep);
}

TEST(StallMeter, IgnoresReportsOutOfOrderAndBursts) {
  StallMeter meter;
  meter.Observe(kStart, kStart + 200ms);
  for (int i = 0; i < 10; ++i) meter.Observe(kStart, kStart + 200ms);
  meter.Observe(kStart, kStart + 100ms);
  EXPECT_EQ(meter.stalled(), 200ms);
}

TEST(StallMeter, StopsWithTheReading) {
  StallMeter meter;
  meter.Observe(kStart, kStart + 300ms);
  meter.Observe(std::nullopt, kStart + 400ms);
  EXPECT_EQ(meter.stalled(), std::nullopt);
  meter.Observe(kStart, kStart + 500ms);
  EXPECT_EQ(meter.stalled(), 500ms);
}

}  // namespace
}  // namespace multigres::orch
