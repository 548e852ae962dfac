// How long a reading that a pooler reports has stood still, counting only time in which its reporter demonstrably ran:
// a pooler that was itself frozen or starved for ten seconds hasn't watched anything for ten seconds.
#pragma once

#include <optional>

#include "tools/clock/clock.h"

namespace multigres::orch {

class StallMeter {
 public:
  // Between two reports no more than this counts, however far apart they are.
  static constexpr Duration kLongestStep = std::chrono::milliseconds(500);

  // The reading as of `at`, both by the reporter's clock. A reading that isn't there stops the meter.
  void Observe(std::optional<WallTime> reading, WallTime at);
  // Null while there is no reading.
  std::optional<Duration> stalled() const { return reading_ ? std::optional(stalled_) : std::nullopt; }

 private:
  std::optional<WallTime> reading_;
  WallTime last_report_;
  Duration stalled_{};
};

}  // namespace multigres::orch
