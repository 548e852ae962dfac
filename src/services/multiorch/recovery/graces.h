// How long an orchestrator watches a shard without a leader before it appoints one: time for a hiccup to pass, and a
// different time for each orchestrator.
#pragma once

#include <map>
#include <string>

#include "tools/clock/clock.h"
#include "tools/random/random.h"

namespace multigres::orch {

// Lives in the configuration: changes apply at once.
struct GraceLimits {
  Duration base = std::chrono::seconds(4);
  Duration max_jitter = std::chrono::seconds(8);
};
inline constexpr Duration kMaxGrace = std::chrono::minutes(1);

// Keyed by shard alone: another reason for the same appointment doesn't start it anew.
class Graces {
 public:
  Graces(Random& random, const GraceLimits& limits) : random_(random), limits_(limits) {}

  // An appointment is due in `shard`: has its grace passed? It starts with the first call and its random part stays
  // fixed until Drop(). A leader that says itself that it doesn't lead can't be a false alarm: no base then, and a
  // quarter of the jitter, which only keeps orchestrators apart.
  bool Passed(const std::string& shard, bool resigned, TimePoint now);
  // No appointment is due any more.
  void Drop(const std::string& shard) { running_.erase(shard); }
  // All graces that are running have passed.
  void Expire();

 private:
  struct Grace {
    TimePoint since;
    double fraction = 0;  // of the jitter
    bool expired = false;
  };
  Random& random_;
  const GraceLimits& limits_;
  std::map<std::string, Grace> running_;
};

}  // namespace multigres::orch
