#include "services/multigateway/cancel/cancel_registry.h"

#include <gtest/gtest.h>

#include "tools/async/task_group.h"

namespace multigres::gateway::cancel {
namespace {

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
    const auto pid = session->process_id();
    EXPECT_FALSE(co_await registry.Cancel(reactor, pid, wrong));
    EXPECT_FALSE(co_await registry.Cancel(reactor, pid, session->secret_key().substr(0, 3)));
    EXPECT_FALSE(co_await registry.Cancel(reactor, pid + 1, session->secret_key()));
    EXPECT_EQ(cancelled, 0);
    EXPECT_TRUE(co_await registry.Cancel(reactor, pid, session->secret_key()));
    EXPECT_EQ(cancelled, 1) << "told before the one who asked is let go";
  }(reactor));
}

TEST(CancelRegistry, ACancelOnItsWayToASessionThatEndsFindsNobody) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    CancelRegistry registry;
    registry.SetPrefix(5);
    int cancelled = 0;
    auto session = registry.Register(reactor, 4, [&] { ++cancelled; });
    TaskGroup tasks(reactor.executor());
    const auto ask = [](CancelRegistry& registry, Reactor& reactor, std::uint32_t pid,
                        std::string key) -> Awaitable<void> {
      EXPECT_TRUE(co_await registry.Cancel(reactor, pid, std::move(key)));
    };
    tasks.Spawn("ask", ask(registry, reactor, session->process_id(), session->secret_key()));
    session->Reset();
    co_await tasks.Join();
    EXPECT_EQ(cancelled, 0);
    EXPECT_EQ(registry.size(), 0u);
  }(reactor));
}

}  // namespace
}  // namespace multigres::gateway::cancel
