// What every part of the analysis looks at, and questions about time that they share.
#pragma once

#include "services/multiorch/recovery/shard_facts.h"

namespace multigres::orch {

struct AnalysisInput {
  const ShardView& view;
  const ShardFacts& facts;
  const Moment& now;
  const ::clustermetadata::ID& self;  // the orchestrator
  const Thresholds& thresholds;
};

// This orchestrator has known the rule in force for less than `age`. By its own clock: the rule's own time is another
// machine's.
bool RuleIsYounger(const AnalysisInput& input, Duration age);

// The attempt that the pooler has promised itself to is over, and nobody's any more: it has been known here for longer
// than an attempt takes.
bool PromiseIsAbandoned(const AnalysisInput& input, const PoolerView& pooler);

// How long this orchestrator has known of any pooler of the shard: what it hasn't found yet may still turn up.
Duration WatchedFor(const AnalysisInput& input);

}  // namespace multigres::orch
