// Random walks, for shards whose states are too many to see all.
#pragma once

#include <chrono>
#include <cstdint>

#include "model/explorer.h"

namespace multigres::model {

struct WalkLimits {
  std::uint64_t steps = 1'000'000;
  int length = 160;  // of one walk, at most
  std::uint64_t seed = 1;
  std::chrono::seconds time{3600};
};

// Stops at the first violation. `states` counts steps taken, `depth` the longest walk. Every state passed is encoded
// and decoded, and must come back as it was.
Outcome Walk(const Model& model, const WalkLimits& limits);

}  // namespace multigres::model
