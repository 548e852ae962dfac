#include "common/rpc/keepalive.h"

#include <gtest/gtest.h>

#include "common/rpc/backoff.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::rpc {
namespace {

using namespace std::chrono_literals;

struct KeepaliveTest : testing::Test {
  VirtualClock clock;
  bool has_streams = true;
  int pings = 0;
  bool gave_up = false;
  Keepalive keepalive{clock,
                      {.time = 10s, .timeout = 3s},
                      {.has_streams = [this] { return has_streams; },
                       .send_ping = [this] { ++pings; },
                       .give_up = [this] { gave_up = true; }}};
};

TEST_F(KeepaliveTest, SilentPeerIsPingedAndGivenUp) {
  keepalive.Start();
  clock.Advance(9s);
  EXPECT_EQ(pings, 0);
  clock.Advance(2s);
  EXPECT_EQ(pings, 1);
  EXPECT_FALSE(gave_up);
  clock.Advance(3s);
  EXPECT_TRUE(gave_up);
}

TEST_F(KeepaliveTest, AnswerStartsAnew) {
  keepalive.Start();
  for (int i = 1; i <= 5; ++i) {
    clock.Advance(10100ms);
    EXPECT_EQ(pings, i);
    keepalive.OnBytesReceived();
  }
  EXPECT_FALSE(gave_up);
}

TEST_F(KeepaliveTest, TalkativePeerIsNotPinged) {
  keepalive.Start();
  for (int i = 0; i < 100; ++i) {
    clock.Advance(1s);
    keepalive.OnBytesReceived();
  }
  EXPECT_EQ(pings, 0);
}

TEST_F(KeepaliveTest, IdleConnectionIsLeftAlone) {
  has_streams = false;
  keepalive.Start();
  clock.Advance(1h);
  EXPECT_EQ(pings, 0);
}

TEST(PingLimit, ForgivesTwoStrikes) {
  PingLimit limit(10s, false);
  TimePoint now(100s);
  EXPECT_TRUE(limit.OnPing(now, true));
  EXPECT_TRUE(limit.OnPing(now += 1s, true));
  EXPECT_TRUE(limit.OnPing(now += 1s, true));
  EXPECT_FALSE(limit.OnPing(now += 1s, true));
}

TEST(PingLimit, ServedCallsMakeUpForPings) {
  PingLimit limit(10s, false);
  TimePoint now(100s);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(limit.OnPing(now += 1s, true));
    limit.OnOutput();
  }
}

TEST(PingLimit, IdleConnectionsPingAlmostNever) {
  PingLimit strict(10s, false);
  PingLimit permissive(10s, true);
  TimePoint now(100s);
  bool strict_ok = true;
  for (int i = 0; i < 4; ++i) {
    now += 11s;
    strict_ok = strict.OnPing(now, false);
    EXPECT_TRUE(permissive.OnPing(now, false));
  }
  EXPECT_FALSE(strict_ok);
}

TEST(Backoff, StaysBelowTheDoubledBaseAndTheMaximum) {
  for (int round = 0; round < 100; ++round) {
    Backoff backoff(50ms, 5s);
    Duration limit = 50ms;
    for (int i = 0; i < 20; ++i) {
      const Duration next = backoff.Next();
      EXPECT_GE(next, Duration::zero());
      EXPECT_LE(next, limit);
      limit = std::min<Duration>(limit * 2, 5s);
    }
    backoff.Reset();
    EXPECT_LE(backoff.Next(), 50ms);
  }
}

}  // namespace
}  // namespace multigres::rpc
