#include "tools/async/event.h"

namespace multigres {

namespace {

// Takes the waiter off the list however its coroutine leaves the wait.
template <class List, class Iterator>
class Unlisted {
 public:
  Unlisted(List& list, Iterator it) : list_(list), it_(it) {}
  ~Unlisted() { list_.erase(it_); }

 private:
  List& list_;
  Iterator it_;
};

}  // namespace

void Event::Set() {
  set_ = true;
  WakeAll();
}

void Event::Pulse() {
  WakeAll();
}

void Event::WakeAll() {
  for (Waiter* waiter : waiters_) {
    waiter->woken = true;
    waiter->suspension.Resume();
  }
}

Awaitable<void> Event::Wait() {
  if (set_) co_return;
  Waiter waiter;
  Unlisted unlisted(waiters_, waiters_.insert(waiters_.end(), &waiter));
  co_await waiter.suspension.Wait();
}

Awaitable<bool> Event::WaitUntil(Clock& clock, Deadline deadline) {
  if (set_) co_return true;
  if (deadline.Passed(clock.Now())) co_return false;
  Waiter waiter;
  Unlisted unlisted(waiters_, waiters_.insert(waiters_.end(), &waiter));
  Timer timer;
  if (!deadline.IsNever()) {
    timer = clock.ScheduleAt(deadline.at(), [&waiter] { waiter.suspension.Resume(); });
  }
  co_await waiter.suspension.Wait();
  co_return waiter.woken;
}

Awaitable<void> SleepUntil(Clock& clock, Deadline at) {
  Event never;
  co_await never.WaitUntil(clock, at);
}

Awaitable<void> SleepFor(Clock& clock, Duration duration) {
  co_await SleepUntil(clock, clock.After(duration));
}

}  // namespace multigres
