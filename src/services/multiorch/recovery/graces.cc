#include "services/multiorch/recovery/graces.h"

#include <algorithm>

namespace multigres::orch {

Duration Graces::Left(const std::string& shard, int rank, bool resigned, TimePoint now) {
  auto [at, fresh] = running_.try_emplace(shard);
  Grace& grace = at->second;
  if (fresh) {
    grace.since = now;
    grace.fraction = random_.Fraction();
  }
  if (grace.expired) return Duration::zero();
  Duration total = limits_.stagger * rank;
  if (!resigned) {
    total += limits_.base +
             Duration(static_cast<std::int64_t>(static_cast<double>(limits_.max_jitter.count()) * grace.fraction));
  }
  return std::max(Duration::zero(), std::min(total, kMaxGrace) - (now - grace.since));
}

void Graces::Expire() {
  for (auto& [shard, grace] : running_) grace.expired = true;
}

}  // namespace multigres::orch
