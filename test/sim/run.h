// One seed: a cluster of its making, faults, peace, and the verdict.
#pragma once

#include <optional>
#include <string>

#include "test/sim/cluster.h"

namespace multigres::sim {

struct Outcome {
  std::uint64_t seed = 0;
  std::optional<std::string> violation;  // of an invariant; or left in peace the shard didn't come to rest
  std::string trace;                     // the last events before it
  // Nothing is wrong, but what was lost is more than the policy survives: no leader can be elected.
  bool needs_operator = false;
  std::uint64_t digest = 0;
  std::size_t acknowledged = 0;
  std::int64_t term = 0;  // reached at the end
  std::string shape;      // "5 members, 2 orchestrators, AT_LEAST_2"
};

// Shape and faults follow from the seed alone.
Outcome RunSeed(std::uint64_t seed, bool verbose = false);

}  // namespace multigres::sim
