#include "services/multiorch/recovery/graces.h"

#include <algorithm>

namespace multigres::orch {

Duration Graces::Left(const std::string& shard, int rank, bool resigned, TimePoint now) {
  Grace& grace = running_[shard];
  if (!grace.since) {
    grace.since = now;
    grace.fraction = random_.Fraction();
  }
  if (grace.expired) return Duration::zero();
  const auto part = [&grace](Duration most) {
    return Duration(static_cast<std::int64_t>(static_cast<double>(most.count()) * grace.fraction));
  };
  Duration total = limits_.stagger * rank;
  if (grace.contested) total += part(limits_.stagger);
  if (!resigned) total += limits_.base + part(limits_.max_jitter);
  return std::max(Duration::zero(), std::min(total, kMaxGrace) - (now - *grace.since));
}

void Graces::Expire() {
  for (auto& [shard, grace] : running_) grace.expired = true;
}

}  // namespace multigres::orch
