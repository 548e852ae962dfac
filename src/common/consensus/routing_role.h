// Writability: who may serve as PRIMARY.
#pragma once

#include "common/consensus/types.h"

namespace multigres::consensus {

// The decision names `self`, no proposal names another, nothing is revoked, and no higher rule that this pooler has
// heard of (`highest_known`, may be null: SetPrimary's record) names another.
bool IsActiveLeader(const ID& self, const RulePosition& own, const TermRevocation* revocation,
                    const RulePosition* highest_known);

// PRIMARY iff PostgreSQL is out of recovery and the pooler is the active leader, else REPLICA. An unknown recovery
// state is "in recovery": role unknown = no writes.
enum class Role { kReplica, kPrimary };
Role RoutingRole(const ID& self, const RulePosition& own, const TermRevocation* revocation,
                 const RulePosition* highest_known, bool out_of_recovery);

}  // namespace multigres::consensus
