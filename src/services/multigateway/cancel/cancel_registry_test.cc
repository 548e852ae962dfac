#include "services/multigateway/cancel/cancel_registry.h"

#include <gtest/gtest.h>

#include "tools/async/event.h"

namespace multigres::gateway::cancel {
namespace {

Awaitable<void> Settle(Reactor& reactor) {
  co_await SleepFor(reactor.clock(), std::chrono::milliseconds(1));
}

TEST(CancelRegistry, NumbersCarryThePrefixAndAreNeverNegative) {
  Reactor reactor;
  CancelRegistry registry;
  registry.SetPrefix(kMaxPrefix);
  auto one = registry.Register(reactor, 4, [] {});
  auto two = registry.Register(reactor, 32, [] {});
  ASSERT_TRUE(one && two);
  EXPECT_EQ(PrefixOf(one->process_id()), kMaxPrefix);
  EXPECT_GT(static_cast<std::int32_t>(one->process_id()), 0);
  EXPECT_NE(one->process_id(), two->process_id());
  EXPECT_EQ(one->secret_key().size(), 4u);
  EXPECT_EQ(two->secret_key().size(), 32u);
}

TEST(CancelRegistry, NothingRegistersBeforeThePrefixIsKnown) {
  Reactor reactor;
  CancelRegistry registry;
  EXPECT_FALSE(registry.Register(reactor, 4, [] {}));
}

TEST(CancelRegistry, OnlyTheRightKeyCancels) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    CancelRegistry registry;
    registry.SetPrefix(5);
    int cancelled = 0;
    auto session = registry.Register(reactor, 4, [&] { ++cancelled; });
    std::string wrong = session->secret_key();
    wrong[3] = static_cast<char>(wrong[3] ^ 1);
    EXPECT_FALSE(registry.Cancel(session->process_id(), wrong));
    EXPECT_FALSE(registry.Cancel(session->process_id(), session->secret_key().substr(0, 3)));
    EXPECT_FALSE(registry.Cancel(session->process_id() + 1, session->secret_key()));
    co_await Settle(reactor);
    EXPECT_EQ(cancelled, 0);
    EXPECT_TRUE(registry.Cancel(session->process_id(), session->secret_key()));
    co_await Settle(reactor);
    EXPECT_EQ(cancelled, 1);
  }(reactor));
}

TEST(CancelRegistry, ACancelOnItsWayToASessionThatEndsFindsNobody) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    CancelRegistry registry;
    registry.SetPrefix(5);
    int cancelled = 0;
    auto session = registry.Register(reactor, 4, [&] { ++cancelled; });
    EXPECT_TRUE(registry.Cancel(session->process_id(), session->secret_key()));
    session->Reset();
    co_await Settle(reactor);
    EXPECT_EQ(cancelled, 0);
    EXPECT_EQ(registry.size(), 0u);
  }(reactor));
}

}  // namespace
}  // namespace multigres::gateway::cancel
