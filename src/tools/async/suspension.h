// The one primitive that every wait is built from: a suspended coroutine that somebody else on the reactor resumes.
#pragma once

#include <functional>

#include "tools/async/awaitable.h"

namespace multigres {

// co_await suspension.Wait() suspends until Resume(). At most one coroutine waits at a time. Single reactor.
// Resume() never runs the coroutine inline: it continues in this turn, after the caller has returned.
// A Resume() without a waiter is lost. Task cancellation (TaskGroup) makes Wait() throw as every co_await does.
class Suspension {
 public:
  Suspension() = default;
  Suspension(const Suspension&) = delete;
  Suspension& operator=(const Suspension&) = delete;
  ~Suspension();

  Awaitable<void> Wait();
  void Resume();
  bool HasWaiter() const { return static_cast<bool>(handler_); }

 private:
  void Complete(boost::system::error_code error);

  std::move_only_function<void(boost::system::error_code)> handler_;
};

}  // namespace multigres
