#include "tools/clock/virtual_clock.h"

namespace multigres {

// Starts at an arbitrary fixed time, so that a run from a seed is the same run again.
VirtualClock::VirtualClock()
    : now_(std::chrono::hours(1000)), wall_(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)), wheel_(now_) {}

Timer VirtualClock::ScheduleAt(TimePoint at, std::move_only_function<void()> callback) {
  return Timer(this, wheel_.Add(at, std::move(callback)));
}

void VirtualClock::Advance(Duration step) {
  const TimePoint end = now_ + step;
  while (true) {
    const auto wake = wheel_.NextWake();
    if (!wake || *wake > end) break;
    wall_ += *wake - now_;
    now_ = *wake;
    wheel_.Advance(now_);
  }
  wall_ += end - now_;
  now_ = end;
  wheel_.Advance(now_);
}

}  // namespace multigres
