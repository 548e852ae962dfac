// Durability policies: how many members must hold a commit's WAL, and what follows for acknowledgement and recruitment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/consensus/member.h"
#include "common/consensus/types.h"
#include "tools/result/error.h"

namespace multigres::consensus {

// The policies that a user may name: AT_LEAST_2 and MULTI_CELL_AT_LEAST_2. Anything else is INVALID_ARGUMENT.
Result<DurabilityPolicy> ParsePolicy(std::string_view name);
// Without name checks, for tests and stored rules: AT_LEAST_N and MULTI_CELL_AT_LEAST_N.
DurabilityPolicy AtLeast(int required_count);
DurabilityPolicy MultiCellAtLeast(int required_count);
// INVALID_ARGUMENT unless the quorum type is known, the count >= 1, and the policy can be expressed to PostgreSQL
// (MULTI_CELL with N >= 3 can't: ANY N-1 may sit in one cell).
Result<> ValidatePolicy(const DurabilityPolicy& policy);
// The canonical name from type and count, "AT_LEAST_2".
std::string PolicyText(const DurabilityPolicy& policy);

// Do these members, holding a commit, make it durable?
bool Satisfies(const DurabilityPolicy& policy, const MemberSet& holders);
// FAILED_PRECONDITION "durability not satisfied: ..." unless the whole cohort would satisfy its policy.
Result<> CheckAchievable(const DurabilityPolicy& policy, const MemberSet& cohort);

// A commit of `leader`, acknowledged (flushed) by `ackers`: durable under policy and cohort? Members outside the cohort
// don't count; the leader does if it is in the cohort.
bool IsDurable(const DurabilityPolicy& policy, const MemberSet& cohort, std::string_view leader,
               const MemberSet& ackers);

// synchronous_standby_names as PostgreSQL takes it, and its parts.
struct SyncStandbys {
  int num_sync = 0;
  std::vector<std::string> names;

  // ANY 1 ("zone1_a", "zone2_b")
  std::string Text() const;
  friend bool operator==(const SyncStandbys&, const SyncStandbys&) = default;
};
// What the leader must wait for. AT_LEAST_N: ANY N-1 of the whole cohort (ANY N if the leader is outside it).
// MULTI_CELL: ANY N-1 of the members outside the leader's cell (if the leader is outside the cohort: so many of it that
// no N-1 cells hold them all). FAILED_PRECONDITION if nothing can be awaited (N = 1,
// no member outside the leader's cell): the list must never be empty.
Result<SyncStandbys> SyncStandbysFor(const DurabilityPolicy& policy, const MemberSet& cohort, std::string_view leader);
// What stands there when no rule does, from initdb on and after a demotion: no standby has this name, so nothing can be
// acknowledged.
SyncStandbys Fence();

// May a new term build on these recruits? They (those in the cohort) must be more than half of it, and the rest must
// not satisfy the policy by itself. FAILED_PRECONDITION with the reason otherwise.
Result<> CheckRecruitment(const DurabilityPolicy& policy, const MemberSet& cohort, const MemberSet& recruits);
// Can the new cohort's recruits acknowledge by themselves? FAILED_PRECONDITION otherwise.
Result<> CheckCandidacy(const DurabilityPolicy& policy, const MemberSet& cohort, const MemberSet& recruits);
// Both, for a failover that keeps its cohort.
Result<> CheckFeasible(const DurabilityPolicy& policy, const MemberSet& cohort, const MemberSet& recruits);

// How many recruits any set needs under AT_LEAST_N: max(floor(C/2)+1, C-N+1, N).
std::size_t RecruitsNeeded(int required_count, std::size_t cohort_size);

}  // namespace multigres::consensus
