// From a set of recruited members to the rule that their coordinator proposes.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "clustermetadata.pb.h"
#include "common/consensus/types.h"
#include "consensusdata.pb.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::consensus {

// A member as its coordinator sees it, fresh from Recruit or from a health stream's cache.
struct Candidate {
  ConsensusStatus status;
  PoolerAddress address;
  bool reachable = true;   // its status is fresh enough to expect an answer; matters to plans only
  bool resigning = false;  // asked to be demoted, or leaving
  // How long whoever asks has known of the attempt in its promise, by his own steady clock: the promise's own time is
  // another machine's.
  Duration promise_age{};
  int failover_slots_ready = 0;
};

// The most advanced rules in the candidates' own WAL; null if nobody reports a decision.
const RulePosition* MostAdvancedRules(std::span<const Candidate> candidates);

// 1 + the highest of all revoked terms and rule terms seen, reachable or not.
std::int64_t NewTerm(std::span<const Candidate> candidates);

// A new attempt's revocation: NewTerm(), and as outgoing_rule the most advanced rule, decided or not, among those that
// would accept it (reachable, LSN known, no recruit floor outstanding): a rule that only a lost member knows can't be
// recruited for. FAILED_PRECONDITION if nobody would accept.
Result<TermRevocation> MakeRevocation(std::span<const Candidate> candidates, const ID& coordinator, WallTime now);

// A failover's proposal: cohort and policy of the most advanced rule, a new leader, rule T.0. An undecided rule is
// carried over, never decided under its old number: T.0 takes its cohort and policy while `decision` stays the real
// one. The leader is the best by IsBetterLeader(), but among those at the most advanced position one whose first write
// can be acknowledged without anybody's rewind goes before one that would have to wait for it. FAILED_PRECONDITION
// while the recruits don't suffice (a larger set may), ABORTED if they show a rule other than the revocation's outgoing
// one (only a new attempt helps), DATA_LOSS on equivocation. Candidates that don't report this revocation, or are
// without a valid LSN or decision, don't count, duplicates once.
Result<::consensusdata::CoordinatorProposal> BuildProposal(const TermRevocation& revocation,
                                                           std::span<const Candidate> recruits, WallTime now);

// A certified change (shard initialisation, lost quorum): the caller vouches that nothing beyond frozen_lsn was
// acknowledged under the outgoing rule. Only the incoming cohort must be recruited sufficiently. `incoming.leader_id`
// unset = choose; set = that member, if its LSN >= frozen_lsn and it recruited.
Result<::consensusdata::CoordinatorProposal> BuildCertifiedProposal(const ExternallyCertifiedRevocation& certificate,
                                                                    const ShardRule& incoming,
                                                                    std::span<const Candidate> recruits, WallTime now);

// Best first: position, then not resigning, then failover-ready slots, then member text.
bool IsBetterLeader(const Candidate& a, const Candidate& b);

// Pre-vote: MakeRevocation(), then BuildProposal() as if all that would accept it had done so. Cached statuses, nothing
// is asked. Returns the proposal that the attempt would make, the revocation in it.
Result<::consensusdata::CoordinatorProposal> Plan(std::span<const Candidate> cached, const ID& coordinator,
                                                  WallTime now);

// Another coordinator's promise, known for less than `window` and not yet followed by a rule of its term: let it
// finish.
bool MustBackOff(std::span<const Candidate> cached, const ID& coordinator, Duration window = std::chrono::seconds(4));

}  // namespace multigres::consensus
