// A record as it was read: the decoded message and the version to compare-and-swap on.
#pragma once

#include "common/topoclient/watch.h"

namespace multigres::topo {

template <class M>
struct Record {
  M value;
  Version version = 0;
};

// What a mutation of Update...Fields() decides: write the changed record, or leave the store as it is (success).
enum class Mutation : std::uint8_t { kWrite, kNoUpdateNeeded };

template <class M>
using Mutator = std::function<Result<Mutation>(M& record)>;

}  // namespace multigres::topo
