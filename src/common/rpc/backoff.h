// How long to wait between attempts: full jitter, uniform in [0, min(max, base * 2^n)].
#pragma once

#include <random>

#include "tools/clock/clock.h"

namespace multigres::rpc {

class Backoff {
 public:
  Backoff(Duration base, Duration max) : base_(base), max_(max), random_(std::random_device{}()) {}
  Duration Next() {
    Duration limit = base_;
    for (int i = 0; i < failures_ && limit < max_; ++i) limit *= 2;
    ++failures_;
    limit = std::min(limit, max_);
    return Duration(std::uniform_int_distribution<Duration::rep>(0, limit.count())(random_));
  }
  void Reset() { failures_ = 0; }

 private:
  Duration base_;
  Duration max_;
  int failures_ = 0;
  std::minstd_rand random_;
};

}  // namespace multigres::rpc
