// How long an orchestrator watches a shard without a leader before it appoints one. The first in rank acts at once;
// each next one leaves its betters a little time, so that orchestrators are kept apart by order and not by chance.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tools/clock/clock.h"
#include "tools/random/random.h"

namespace multigres::orch {

// Lives in the configuration: changes apply at once.
struct GraceLimits {
  Duration stagger = std::chrono::milliseconds(300);  // for each better-ranked orchestrator
  // On top, for whoever would rather wait out a hiccup: a fixed part, and a random one.
  Duration base = Duration::zero();
  Duration max_jitter = Duration::zero();
};
inline constexpr Duration kMaxGrace = std::chrono::minutes(1);

// Keyed by shard alone: another reason for the same appointment doesn't start it anew.
class Graces {
 public:
  Graces(Random& random, const GraceLimits& limits) : random_(random), limits_(limits) {}

  // An appointment is due in `shard`: how much of its grace is left? It starts with the first call and its random part
  // stays fixed until Drop(). A leader that says itself that it doesn't lead can't be a false alarm: then only rank
  // counts.
  Duration Left(const std::string& shard, int rank, bool resigned, TimePoint now);
  // No appointment is due any more.
  void Drop(const std::string& shard) { running_.erase(shard); }
  // Another's attempt is under way. When it is over a new grace starts, with up to one stagger at random on top: those
  // that have waited for it begin in the same moment, and perhaps none knows its place yet.
  void Contest(const std::string& shard) { running_[shard] = {.contested = true}; }
  // All graces that are running have passed.
  void Expire();

 private:
  struct Grace {
    std::optional<TimePoint> since = std::nullopt;
    double fraction = 0;  // of the jitter
    bool expired = false;
    bool contested = false;
  };
  Random& random_;
  const GraceLimits& limits_;
  std::map<std::string, Grace> running_;
};

}  // namespace multigres::orch
