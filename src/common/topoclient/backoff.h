// Full jitter between attempts: the n-th delay is uniform in [0, min(max, base * 2^n)].
#pragma once

#include <cstdint>
#include <random>

#include "tools/clock/clock.h"

namespace multigres::topo {

class Backoff {
 public:
  // The same seed gives the same delays.
  Backoff(Duration base, Duration max, std::uint64_t seed = std::random_device{}());
  Duration Next();
  void Reset() { attempts_ = 0; }

 private:
  Duration base_;
  Duration max_;
  int attempts_ = 0;
  std::minstd_rand random_;
};

}  // namespace multigres::topo
