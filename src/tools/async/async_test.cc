#include <gtest/gtest.h>

#include "tools/async/cancel_token.h"
#include "tools/async/event.h"
#include "tools/async/queue.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/clock/virtual_clock.h"

namespace multigres {
namespace {

using namespace std::chrono_literals;

TEST(Event, WakesAllWaitersAndStaysSet) {
  Reactor reactor;
  int woken = 0;
  RunOnReactor(reactor, [](Reactor& reactor, int& woken) -> Awaitable<void> {
    Event event;
    TaskGroup tasks(reactor.executor());
    auto waiter = [](Event& event, int& woken) -> Awaitable<void> {
      co_await event.Wait();
      ++woken;
    };
    for (int i = 0; i < 3; ++i) tasks.Spawn("waiter", waiter(event, woken));
    event.Set();
    co_await tasks.Join();
    co_await event.Wait();
  }(reactor, woken));
  EXPECT_EQ(woken, 3);
}

TEST(Event, WaitUntilGivesUpAtTheDeadline) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    Event event;
    EXPECT_FALSE(co_await event.WaitUntil(reactor.clock(), reactor.clock().After(5ms)));
    event.Set();
    EXPECT_TRUE(co_await event.WaitUntil(reactor.clock(), reactor.clock().After(5ms)));
  }(reactor));
}

TEST(TaskGroup, CancelUnwindsAWaitingTask) {
  Reactor reactor;
  bool unwound = false;
  RunOnReactor(reactor, [](Reactor& reactor, bool& unwound) -> Awaitable<void> {
    Event never;
    TaskGroup tasks(reactor.executor());
    auto task = [](Event& never, bool& unwound) -> Awaitable<void> {
      struct Flag {
        bool& flag;
        ~Flag() { flag = true; }
      } flag{unwound};
      co_await never.Wait();
    };
    tasks.Spawn("stuck", task(never, unwound));
    co_await asio::post(co_await asio::this_coro::executor, kAwait);
    co_await tasks.CancelAndJoin();
  }(reactor, unwound));
  EXPECT_TRUE(unwound);
}

TEST(TaskGroup, ATaskThatEndsAtOnceInACancelledGroupIsGone) {
  Reactor reactor;
  int ran = 0;
  RunOnReactor(reactor, [](Reactor& reactor, int& ran) -> Awaitable<void> {
    TaskGroup tasks(reactor.executor());
    tasks.Cancel();
    auto task = [](int& ran) -> Awaitable<void> {
      ++ran;
      co_return;
    };
    for (int i = 0; i < 3; ++i) tasks.Spawn("short", task(ran));
    co_await tasks.CancelAndJoin();
    EXPECT_EQ(tasks.size(), 0u);
  }(reactor, ran));
  EXPECT_EQ(ran, 3);
}

TEST(TaskGroup, ATaskCleansUpAsynchronouslyAfterItsCancellation) {
  Reactor reactor;
  bool cleaned = false;
  RunOnReactor(reactor, [](Reactor& reactor, bool& cleaned) -> Awaitable<void> {
    TaskGroup tasks(reactor.executor());
    auto task = [](Reactor& reactor, bool& cleaned) -> Awaitable<void> {
      bool cancelled = false;
      try {
        co_await SleepFor(reactor.clock(), 1h);
      } catch (const boost::system::system_error&) {
        cancelled = true;
      }
      if (!cancelled) co_return;
      co_await asio::this_coro::reset_cancellation_state();
      co_await SleepFor(reactor.clock(), 1ms);
      cleaned = true;
    };
    tasks.Spawn("cleaner", task(reactor, cleaned));
    co_await asio::post(co_await asio::this_coro::executor, kAwait);
    co_await tasks.CancelAndJoin();
  }(reactor, cleaned));
  EXPECT_TRUE(cleaned);
}

TEST(Queue, IsDrainedAfterClose) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    Queue<int> queue;
    queue.Push(1);
    queue.Push(2);
    queue.Close();
    EXPECT_EQ(co_await queue.Pop(), 1);
    EXPECT_EQ(co_await queue.Pop(), 2);
    EXPECT_EQ(co_await queue.Pop(), std::nullopt);
  }(reactor));
}

TEST(CancelToken, TellsItsSubscribersOnce) {
  CancelToken token;
  int told = 0;
  auto kept = token.OnCancel([&](CancelReason) { ++told; });
  {
    auto dropped = token.OnCancel([&](CancelReason) { told += 100; });
  }
  token.Cancel(CancelReason::kDeadline);
  token.Cancel(CancelReason::kCancelled);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(token.reason(), CancelReason::kDeadline);
  auto late = token.OnCancel([&](CancelReason) { ++told; });
  EXPECT_EQ(told, 2);
}

TEST(CancelToken, ACallbackMayDropAnotherSubscription) {
  CancelToken token;
  int told = 0;
  CancelToken::Subscription second;
  auto first = token.OnCancel([&](CancelReason) { second.Reset(); });
  second = token.OnCancel([&](CancelReason) { ++told; });
  token.Cancel(CancelReason::kCancelled);
  EXPECT_EQ(told, 0);
}

TEST(Reactor, RunsAHookOncePerTurnHoweverOftenItIsQueued) {
  Reactor reactor;
  struct Hook : TurnEndHook {
    int ran = 0;
    void OnTurnEnd() override { ++ran; }
  } hook;
  RunOnReactor(reactor, [](Reactor& reactor, Hook& hook) -> Awaitable<void> {
    reactor.AtTurnEnd(hook);
    reactor.AtTurnEnd(hook);
    {
      Hook gone;
      reactor.AtTurnEnd(gone);
    }
    co_await SleepFor(reactor.clock(), 1ms);
  }(reactor, hook));
  EXPECT_EQ(hook.ran, 1);
}

TEST(Reactor, RunsTurnByTurnOnAVirtualClock) {
  VirtualClock clock;
  Reactor reactor(clock);
  TaskGroup tasks(reactor.executor());
  bool woken = false;
  tasks.Spawn("sleeper", [](Clock& clock, bool& woken) -> Awaitable<void> {
    co_await SleepFor(clock, 1h);
    woken = true;
  }(reactor.clock(), woken));
  while (reactor.RunTurn()) {
  }
  clock.Advance(59min);
  EXPECT_FALSE(reactor.RunTurn());
  EXPECT_FALSE(woken);
  clock.Advance(1min);
  EXPECT_TRUE(reactor.RunTurn());
  EXPECT_TRUE(woken);
}

TEST(Reactor, RunOnBringsTheResultBack) {
  ReactorPool pool(1);
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& here, Reactor& there) -> Awaitable<void> {
    const auto home = std::this_thread::get_id();
    auto away = co_await RunOn<std::thread::id>(
        here, there, []() -> Awaitable<std::thread::id> { co_return std::this_thread::get_id(); });
    EXPECT_NE(away, home);
    EXPECT_EQ(std::this_thread::get_id(), home);
  }(reactor, pool[0]));
}

}  // namespace
}  // namespace multigres
