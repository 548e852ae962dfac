// Time as a seam: a clock that tells the time and fires timers, the real one or a virtual one that a test advances.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

namespace multigres {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// A point in time, or never. Travels by value, into RPCs too.
class Deadline {
 public:
  constexpr Deadline() = default;  // never
  constexpr explicit Deadline(TimePoint at) : at_(at) {}
  static constexpr Deadline Never() { return Deadline(); }

  constexpr bool IsNever() const { return at_ == TimePoint::max(); }
  constexpr TimePoint at() const { return at_; }
  constexpr bool Passed(TimePoint now) const { return now >= at_; }
  // Zero if it has passed, Duration::max() if never.
  constexpr Duration Remaining(TimePoint now) const {
    return IsNever() ? Duration::max() : at_ > now ? at_ - now : Duration::zero();
  }
  constexpr Deadline Earlier(Deadline other) const { return at_ < other.at_ ? *this : other; }

 private:
  TimePoint at_ = TimePoint::max();
};

class Clock;

// Owns one pending timer: destroying or Cancel()ing it guarantees that the callback won't run.
class [[nodiscard]] Timer {
 public:
  Timer() = default;
  Timer(Clock* clock, std::uint64_t id) : clock_(clock), id_(id) {}
  Timer(Timer&& other) noexcept : clock_(std::exchange(other.clock_, nullptr)), id_(other.id_) {}
  Timer& operator=(Timer&& other) noexcept;
  ~Timer() { Cancel(); }
  void Cancel();

 private:
  Clock* clock_ = nullptr;
  std::uint64_t id_ = 0;
};

// One reactor's clock: all calls, and all callbacks, on its thread. Callbacks never run inside Schedule().
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  virtual WallTime WallNow() const = 0;
  // Runs `callback` once at or shortly (a millisecond or two) after `at`.
  virtual Timer ScheduleAt(TimePoint at, std::move_only_function<void()> callback) = 0;

  Deadline After(Duration timeout) const {
    return timeout >= TimePoint::max() - Now() ? Deadline::Never() : Deadline(Now() + timeout);
  }
  Timer Schedule(Duration delay, std::move_only_function<void()> callback) {
    return ScheduleAt(Now() + delay, std::move(callback));
  }

 private:
  friend class Timer;
  // Unknown and already fired ids are ignored.
  virtual void CancelTimer(std::uint64_t id) = 0;
};

}  // namespace multigres
