// One thread, one event loop. Connections live and die on one reactor; nothing on it takes a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tools/async/awaitable.h"
#include "tools/clock/clock.h"

namespace multigres {

// Something that gathers output during a turn and writes it once at the turn's end.
class TurnEndHook {
 public:
  virtual void OnTurnEnd() = 0;

 protected:
  ~TurnEndHook();

 private:
  friend class Reactor;
  class Reactor* reactor_ = nullptr;  // set while queued
  std::size_t index_ = 0;
};

class Reactor {
 public:
  Reactor();
  // For a simulation: the time is `clock`'s, which must outlive the reactor, and its owner calls RunTurn().
  explicit Reactor(Clock& clock);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  asio::io_context& io() { return io_; }
  Executor executor() { return io_.get_executor(); }
  Clock& clock() { return clock_; }

  // Runs turns on the calling thread until Stop(). A turn: everything that is ready, then the hooks, then sleep.
  void Run();
  // Everything that is ready, then the hooks; never sleeps. False if there was nothing to do.
  bool RunTurn();
  // From any thread; remembered if Run() hasn't begun.
  void Stop();
  // From any thread: runs `work` on this reactor.
  void Post(std::move_only_function<void()> work);

  // Calls hook.OnTurnEnd() once at the end of the current turn. Queueing again is free; a destroyed hook is forgotten.
  void AtTurnEnd(TurnEndHook& hook);

 private:
  friend class TurnEndHook;
  class RealClock;
  void RunHooks();

  asio::io_context io_{1};
  std::unique_ptr<RealClock> real_clock_;  // null in a simulation
  Clock& clock_;
  std::vector<TurnEndHook*> hooks_;
  std::atomic<bool> stopped_ = false;
};

// Runs `main` on a reactor of the calling thread until it returns: for programs' entry points and tests.
void RunOnReactor(Reactor& reactor, Awaitable<void> main);

// `count` reactors on threads of their own (0 = one a core); stopped and joined by the destructor.
class ReactorPool {
 public:
  explicit ReactorPool(std::size_t count);
  ~ReactorPool();
  std::size_t size() const { return reactors_.size(); }
  Reactor& operator[](std::size_t index) { return *reactors_[index]; }
  void StopAndJoin();

 private:
  std::vector<std::unique_ptr<Reactor>> reactors_;
  std::vector<std::thread> threads_;
};

// Runs `work()` (an Awaitable<T> factory) as a coroutine on `target` and gives its result back on the calling reactor.
// T must be movable; exceptions other than task cancellation end the process.
template <class T>
Awaitable<T> RunOn(Reactor& here, Reactor& target, std::move_only_function<Awaitable<T>()> work);

}  // namespace multigres

#include "tools/async/run_on.inl"
