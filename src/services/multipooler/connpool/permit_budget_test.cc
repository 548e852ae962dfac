#include "services/multipooler/connpool/permit_budget.h"

#include <gtest/gtest.h>

#include "tools/async/awaitable.h"

namespace multigres::pooler::connpool {
namespace {

using namespace std::chrono_literals;

// What is posted now, and what that posts, has run.
Awaitable<void> Settle() {
  for (int turn = 0; turn < 10; ++turn) co_await asio::post(co_await asio::this_coro::executor, kAwait);
}

TEST(PermitBudget, NeverGivesMoreThanItHas) {
  PermitBudget budget(2);
  EXPECT_TRUE(budget.TryTake());
  EXPECT_TRUE(budget.TryTake());
  EXPECT_FALSE(budget.TryTake());
  budget.Return();
  EXPECT_TRUE(budget.TryTake());
  EXPECT_EQ(budget.in_use(), 2u);
}

TEST(PermitBudget, TheLongestWaiterIsFirstWhateverTheOrderOfArrival) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    PermitBudget budget(1);
    EXPECT_TRUE(budget.TryTake());
    std::vector<int> order;
    const TimePoint now = reactor.clock().Now();
    budget.Wait(reactor, now, [&] { order.push_back(2); });
    budget.Wait(reactor, now - 1s, [&] { order.push_back(1); });
    EXPECT_EQ(budget.OldestWait(), now - 1s);
    budget.Return();
    co_await Settle();
    EXPECT_EQ(order, (std::vector<int>{1}));
    EXPECT_FALSE(budget.TryTake());
    budget.Return();
    co_await Settle();
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    EXPECT_EQ(budget.OldestWait(), TimePoint::max());
  }(reactor));
}

TEST(PermitBudget, AGrantToAWaiterThatLeftGoesToTheNext) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    PermitBudget budget(1);
    EXPECT_TRUE(budget.TryTake());
    bool first = false;
    bool second = false;
    const TimePoint now = reactor.clock().Now();
    const auto id = budget.Wait(reactor, now, [&] { first = true; });
    budget.Wait(reactor, now + 1s, [&] { second = true; });
    budget.Return();
    budget.Leave(id);  // the grant is on its way already
    co_await Settle();
    EXPECT_FALSE(first);
    EXPECT_TRUE(second);
    EXPECT_EQ(budget.in_use(), 1u);
  }(reactor));
}

TEST(PermitBudget, AWaiterMakesAnotherPoolGiveUpAnIdleSocket) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    PermitBudget budget(1);
    int asked = 0;
    budget.AddReclaimer(reactor, [&] {
      ++asked;
      return false;
    });
    budget.AddReclaimer(reactor, [&] {
      ++asked;
      budget.Return();
      return true;
    });
    EXPECT_TRUE(budget.TryTake());
    bool granted = false;
    budget.Wait(reactor, reactor.clock().Now(), [&] { granted = true; });
    co_await Settle();
    EXPECT_TRUE(granted);
    EXPECT_GE(asked, 1);
    EXPECT_LE(asked, 2);
  }(reactor));
}

}  // namespace
}  // namespace multigres::pooler::connpool
