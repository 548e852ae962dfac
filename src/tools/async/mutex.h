// Mutual exclusion between coroutines of one reactor, first come first served, held across co_await on purpose: for
// long operations that must not overlap (starting a server, changing a rule), never on a hot path.
#pragma once

#include <utility>

#include "tools/async/event.h"
#include "tools/result/error.h"

namespace multigres {

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  // Unlocks when destroyed. Must not outlive the mutex.
  class [[nodiscard]] Guard {
   public:
    Guard() = default;
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&& other) noexcept {
      Unlock();
      mutex_ = std::exchange(other.mutex_, nullptr);
      return *this;
    }
    ~Guard() { Unlock(); }
    void Unlock() {
      if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->Release();
    }

   private:
    friend class Mutex;
    explicit Guard(Mutex* mutex) : mutex_(mutex) {}
    Mutex* mutex_ = nullptr;
  };

  // DEADLINE_EXCEEDED (did not execute) naming what holds it.
  Awaitable<Result<Guard>> Lock(Clock& clock, Deadline deadline, std::string purpose);
  bool IsLocked() const { return locked_; }
  // Grows with every Lock(): unchanged, and not locked before or after, means that nobody held it in between.
  std::uint64_t requests() const { return next_ticket_; }
  // What holds it now, or held it last.
  const std::string& purpose() const { return purpose_; }

 private:
  void Release();

  bool locked_ = false;
  std::string purpose_;
  std::uint64_t next_ticket_ = 0;
  std::list<std::uint64_t> queue_;
  Event changed_;
};

}  // namespace multigres
