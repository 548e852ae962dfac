// Waiting for a condition that other coroutines of the same reactor bring about.
#pragma once

#include <list>

#include "tools/async/suspension.h"
#include "tools/clock/clock.h"

namespace multigres {

// A latch: Set() wakes all waiters and lets later ones through at once, until Reset().
class Event {
 public:
  explicit Event(bool set = false) : set_(set) {}

  void Set();
  void Reset() { set_ = false; }
  bool IsSet() const { return set_; }
  // Wakes the waiters of now and doesn't stay set.
  void Pulse();

  Awaitable<void> Wait();
  // False if the deadline passed first.
  Awaitable<bool> WaitUntil(Clock& clock, Deadline deadline);

 private:
  struct Waiter {
    Suspension suspension;
    bool woken = false;
  };
  void WakeAll();

  bool set_;
  std::list<Waiter*> waiters_;
};

// Returns at `at`; a virtual clock decides when that is.
Awaitable<void> SleepUntil(Clock& clock, Deadline at);
Awaitable<void> SleepFor(Clock& clock, Duration duration);

}  // namespace multigres
