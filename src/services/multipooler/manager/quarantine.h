// When a server can't be brought up again and again, a pooler gives up instead of wearing its disk out (ha.md, section
// 8.2). Pure.
#pragma once

#include <optional>

#include "tools/clock/clock.h"

namespace multigres::pooler::manager {

struct QuarantineOptions {
  Duration timeout{};  // 0 = never
  int min_attempts = 3;
};

// Failed starts, rewinds and copies in a row.
class FailureStreak {
 public:
  explicit FailureStreak(QuarantineOptions options) : options_(options) {}

  void Failed(TimePoint now) {
    if (attempts_++ == 0) began_ = now;
  }
  // It runs.
  void Reset() { attempts_ = 0; }
  // Both the attempts and the time since the first of them are used up.
  bool IsUnrecoverable(TimePoint now) const {
    return options_.timeout > Duration::zero() && attempts_ >= options_.min_attempts &&
           now - began_ >= options_.timeout;
  }
  int attempts() const { return attempts_; }

 private:
  const QuarantineOptions options_;
  int attempts_ = 0;
  TimePoint began_;
};

}  // namespace multigres::pooler::manager
