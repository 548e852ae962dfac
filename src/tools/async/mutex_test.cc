#include "tools/async/mutex.h"

#include <gtest/gtest.h>

#include "tools/async/reactor.h"
#include "tools/async/task_group.h"

namespace multigres {
namespace {

using namespace std::chrono_literals;

Awaitable<void> Hold(Mutex& mutex, Clock& clock, int number, std::vector<int>& order) {
  auto guard = co_await mutex.Lock(clock, Deadline::Never(), "number " + std::to_string(number));
  EXPECT_TRUE(guard);
  order.push_back(number);
  // The others' turn, if they could have one.
  for (int turn = 0; turn < 5; ++turn) co_await asio::post(co_await asio::this_coro::executor, kAwait);
  order.push_back(-number);
}

TEST(Mutex, AdmitsOneAtATimeInOrder) {
  Reactor reactor;
  std::vector<int> order;
  RunOnReactor(reactor, [](Reactor& reactor, std::vector<int>& order) -> Awaitable<void> {
    Mutex mutex;
    TaskGroup tasks(reactor.executor());
    for (int i = 1; i <= 3; ++i) tasks.Spawn("holder", Hold(mutex, reactor.clock(), i, order));
    co_await tasks.Join();
    EXPECT_FALSE(mutex.IsLocked());
  }(reactor, order));
  EXPECT_EQ(order, (std::vector<int>{1, -1, 2, -2, 3, -3}));
}

TEST(Mutex, GivesUpAtTheDeadlineAndLetsTheNextOnePass) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    Mutex mutex;
    std::vector<int> order;
    TaskGroup tasks(reactor.executor());
    {
      auto guard = co_await mutex.Lock(reactor.clock(), Deadline::Never(), "rewind");
      auto late = co_await mutex.Lock(reactor.clock(), reactor.clock().After(3ms), "start");
      EXPECT_FALSE(late);
      if (!late) EXPECT_EQ(late.error().message(), "still busy with: rewind");
      tasks.Spawn("holder", Hold(mutex, reactor.clock(), 1, order));
    }
    co_await tasks.Join();
    EXPECT_EQ(order.size(), 2U);
  }(reactor));
}

}  // namespace
}  // namespace multigres
