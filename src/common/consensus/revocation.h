// Promises: a member that accepted a Recruit takes no part in terms below T.
#pragma once

#include <optional>
#include <span>

#include "common/consensus/types.h"
#include "tools/result/error.h"

namespace multigres::consensus {

bool IsSet(const TermRevocation& revocation);
// The same term of the same coordinator's same attempt. (The outgoing rule may have grown: MergePromise().)
bool SameAttempt(const TermRevocation& a, const TermRevocation& b);

// Does the promise forbid taking part in this position's rules? False without a promise or its outgoing_rule, if the
// decision or the proposal belongs to the promised term or a later one, or if the decision has outrun the promise's
// outgoing rule (runaway recruit: the term it was given for can't win any more). A failover's own undecided proposal
// never frees.
bool IsRuleRevoked(const RulePosition& position, const TermRevocation* revocation);

// May this member accept `incoming`? FAILED_PRECONDITION with the reason unless it is complete, its outgoing rule lies
// below its term, the member's LSN parses, the member's rules are revoked by it, no recruit floor is outstanding, and
// no higher promise (or the same term's to another coordinator or attempt) is stored. Exactly the stored one is
// accepted again. `stored` and `recruit_floor` may be null. (An unparseable floor LSN counts as outstanding.)
Result<> ValidateRevocation(const PoolerPosition& own, const TermRevocation* stored, const LsnPosition* recruit_floor,
                            const TermRevocation& incoming);

// A floor is outstanding until the own position (rule, then LSN) reaches it.
bool IsFloorOutstanding(const PoolerPosition& own, const LsnPosition* recruit_floor);
// The floor before another rewind: max(outstanding floor, current position).
LsnPosition RaiseFloor(const PoolerPosition& own, const LsnPosition* recruit_floor);

// What to store when `incoming` is accepted: promises only grow, so its outgoing rule is the greater of both.
TermRevocation MergePromise(const TermRevocation* stored, const TermRevocation& incoming);

}  // namespace multigres::consensus
