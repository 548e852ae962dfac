#include "services/multiorch/health/stall_meter.h"

#include <algorithm>

namespace multigres::orch {

void StallMeter::Observe(std::optional<WallTime> reading, WallTime at) {
  if (!reading) {
    reading_.reset();
    return;
  }
  if (reading != reading_) {
    reading_ = reading;
    last_report_ = at;
    stalled_ = std::clamp<Duration>(at - *reading, Duration::zero(), kLongestStep);
    return;
  }
  if (at <= last_report_) return;
  stalled_ += std::min<Duration>(at - last_report_, kLongestStep);
  last_report_ = at;
}

}  // namespace multigres::orch
