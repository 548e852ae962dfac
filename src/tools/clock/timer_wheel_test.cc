#include <gtest/gtest.h>

#include <vector>

#include "tools/clock/virtual_clock.h"

namespace multigres {
namespace {

using namespace std::chrono_literals;

TEST(TimerWheel, FiresInOrderAndNeverEarly) {
  VirtualClock clock;
  std::vector<Duration> fired;
  const TimePoint start = clock.Now();
  std::vector<Timer> timers;
  for (Duration delay : {Duration(9s), Duration(1ms), Duration(1500us), Duration(4096ms), Duration(5h)}) {
    timers.push_back(clock.Schedule(delay, [&, delay] {
      EXPECT_GE(clock.Now() - start, delay);
      EXPECT_LE(clock.Now() - start, delay + 1ms);
      fired.push_back(delay);
    }));
  }
  clock.Advance(10s);
  EXPECT_EQ(fired, (std::vector<Duration>{1ms, 1500us, 4096ms, 9s}));
  clock.Advance(6h);
  EXPECT_EQ(fired.size(), 5u);
}

TEST(TimerWheel, ACancelledTimerNeverRuns) {
  VirtualClock clock;
  bool ran = false;
  Timer timer = clock.Schedule(5ms, [&] { ran = true; });
  Timer canceller = clock.Schedule(4ms, [&] { timer.Cancel(); });
  clock.Advance(1s);
  EXPECT_FALSE(ran);
}

TEST(TimerWheel, ACallbackMayScheduleAgain) {
  VirtualClock clock;
  int ticks = 0;
  Timer timer;
  std::function<void()> tick = [&] {
    ++ticks;
    timer = clock.Schedule(10ms, tick);
  };
  timer = clock.Schedule(10ms, tick);
  clock.Advance(100ms);
  EXPECT_GE(ticks, 9);
  EXPECT_LE(ticks, 10);
}

}  // namespace
}  // namespace multigres
