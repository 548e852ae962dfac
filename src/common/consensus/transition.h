// What must acknowledge while a rule is being replaced: both rules before the write, the incoming one after.
#pragma once

#include "clustermetadata.pb.h"
#include "common/consensus/durability.h"
#include "common/consensus/member.h"
#include "common/consensus/types.h"
#include "tools/result/error.h"

namespace multigres::consensus {

// Cohort and policy that commits must satisfy.
struct AckRequirement {
  DurabilityPolicy policy;
  MemberSet cohort;
};

// Satisfies the outgoing and the incoming rule. Same policy, nested cohorts: the smaller cohort; same cohort, same
// quorum type: the larger count; an outgoing rule without a cohort (bootstrap): the incoming rule alone. Anything else
// is FAILED_PRECONDITION.
Result<AckRequirement> BothRequirement(const ShardRule& outgoing, const ShardRule& incoming);
AckRequirement IncomingRequirement(const ShardRule& incoming);

// Straight to PostgreSQL's list for the leader of the incoming rule.
Result<SyncStandbys> BothSyncStandbys(const ShardRule& outgoing, const ShardRule& incoming);
Result<SyncStandbys> IncomingSyncStandbys(const ShardRule& incoming);
// The list that an open position asks of its leader: Both if a proposal is open, else the decision's.
Result<SyncStandbys> SyncStandbysFor(const RulePosition& position, std::string_view leader);

}  // namespace multigres::consensus
