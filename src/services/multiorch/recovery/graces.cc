#include "services/multiorch/recovery/graces.h"

#include <algorithm>

namespace multigres::orch {

bool Graces::Passed(const std::string& shard, bool resigned, TimePoint now) {
  auto [at, fresh] = running_.try_emplace(shard);
  Grace& grace = at->second;
  if (fresh) {
    grace.since = now;
    grace.fraction = random_.Fraction();
  }
  if (grace.expired) return true;
  const Duration base = resigned ? Duration::zero() : limits_.base;
  const Duration max_jitter = resigned ? limits_.max_jitter / 4 : limits_.max_jitter;
  const Duration jitter(static_cast<std::int64_t>(static_cast<double>(max_jitter.count()) * grace.fraction));
  return now - grace.since >= std::min(base + jitter, kMaxGrace);
}

void Graces::Expire() {
  for (auto& [shard, grace] : running_) grace.expired = true;
}

}  // namespace multigres::orch
