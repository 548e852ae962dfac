// The consensus calls of a pooler, whose answers the judges see as they leave it.
#pragma once

#include "consensusdata.pb.h"
#include "multipoolermanagerdata.pb.h"
#include "test/sim/host.h"

namespace multigres::sim {

Awaitable<Result<::clustermetadata::ConsensusStatus>> Recruit(PoolerProcess& pooler,
                                                              ::clustermetadata::TermRevocation revocation,
                                                              Deadline deadline);
Awaitable<Result<::clustermetadata::ConsensusStatus>> Promote(PoolerProcess& pooler,
                                                              ::consensusdata::PromoteRequest request,
                                                              Deadline deadline);
Awaitable<Result<::clustermetadata::PoolerPosition>> UpdateConsensusRule(
    PoolerProcess& pooler, ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline);

}  // namespace multigres::sim
