// A host's clock: the run's time, with a wall clock that may be wrong.
#pragma once

#include "tools/clock/clock.h"

namespace multigres::sim {

class HostClock final : public Clock {
 public:
  explicit HostClock(Clock& world) : world_(world) {}
  TimePoint Now() const override { return world_.Now(); }
  WallTime WallNow() const override { return world_.WallNow() + skew_; }
  Timer ScheduleAt(TimePoint at, std::move_only_function<void()> callback) override {
    return world_.ScheduleAt(at, std::move(callback));
  }
  void SetSkew(Duration skew) { skew_ = skew; }

 private:
  void CancelTimer(std::uint64_t /*id*/) override {}  // timers are the world's

  Clock& world_;
  Duration skew_{};
};

}  // namespace multigres::sim
