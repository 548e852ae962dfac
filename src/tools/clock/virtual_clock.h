// A clock that moves only when told to: the in-memory twin of a reactor's clock.
#pragma once

#include "tools/clock/timer_wheel.h"

namespace multigres {

class VirtualClock final : public Clock {
 public:
  VirtualClock();

  TimePoint Now() const override { return now_; }
  WallTime WallNow() const override { return wall_; }
  Timer ScheduleAt(TimePoint at, std::move_only_function<void()> callback) override;

  // Moves on by `step`, firing each due timer at its own time.
  void Advance(Duration step);
  // Skews the wall clock alone.
  void SkewWall(Duration by) { wall_ += by; }
  // When the next timer may be due; empty if there is none.
  std::optional<TimePoint> NextWake() const { return wheel_.NextWake(); }

 private:
  void CancelTimer(std::uint64_t id) override { wheel_.Cancel(id); }

  TimePoint now_;
  WallTime wall_;
  TimerWheel wheel_;
};

}  // namespace multigres
