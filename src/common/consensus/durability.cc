#include "common/consensus/durability.h"

#include <map>

#include "clustermetadata.pb.h"
#include "common/consensus/safety.h"

namespace multigres::consensus {
namespace {

using ::clustermetadata::QUORUM_TYPE_AT_LEAST_N;
using ::clustermetadata::QUORUM_TYPE_MULTI_CELL_AT_LEAST_N;

DurabilityPolicy MakePolicy(::clustermetadata::QuorumType type, int required_count) {
  DurabilityPolicy policy;
  policy.set_quorum_type(type);
  policy.set_required_count(required_count);
  policy.set_policy_name(PolicyText(policy));
  return policy;
}

// What the policy counts of these members: heads or cells.
std::size_t Weight(const DurabilityPolicy& policy, const MemberSet& members) {
  return policy.quorum_type() == QUORUM_TYPE_MULTI_CELL_AT_LEAST_N ? members.CellCount() : members.size();
}

std::size_t LargestCell(const MemberSet& members) {
  std::map<std::string, std::size_t, std::less<>> sizes;
  std::size_t largest = 0;
  for (const std::string& member : members) largest = std::max(largest, ++sizes[std::string(CellOf(member))]);
  return largest;
}

std::string_view Unit(const DurabilityPolicy& policy) {
  return policy.quorum_type() == QUORUM_TYPE_MULTI_CELL_AT_LEAST_N ? "cells" : "members";
}

std::string Quoted(std::string_view name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace

DurabilityPolicy AtLeast(int required_count) {
  return MakePolicy(QUORUM_TYPE_AT_LEAST_N, required_count);
}

DurabilityPolicy MultiCellAtLeast(int required_count) {
  return MakePolicy(QUORUM_TYPE_MULTI_CELL_AT_LEAST_N, required_count);
}

Result<DurabilityPolicy> ParsePolicy(std::string_view name) {
  for (const DurabilityPolicy& policy : {AtLeast(2), MultiCellAtLeast(2)}) {
    if (policy.policy_name() == name) return policy;
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("unknown durability policy '{}': use AT_LEAST_2 or MULTI_CELL_AT_LEAST_2", name));
}

std::string PolicyText(const DurabilityPolicy& policy) {
  switch (policy.quorum_type()) {
    case QUORUM_TYPE_AT_LEAST_N:
      return fmt::format("AT_LEAST_{}", policy.required_count());
    case QUORUM_TYPE_MULTI_CELL_AT_LEAST_N:
      return fmt::format("MULTI_CELL_AT_LEAST_{}", policy.required_count());
    default:
      return "UNKNOWN";
  }
}

Result<> ValidatePolicy(const DurabilityPolicy& policy) {
  const bool multi_cell = policy.quorum_type() == QUORUM_TYPE_MULTI_CELL_AT_LEAST_N;
  if (!multi_cell && policy.quorum_type() != QUORUM_TYPE_AT_LEAST_N) {
    return Fail(Code::kInvalidArgument,
                fmt::format("durability policy has unknown quorum type {}", static_cast<int>(policy.quorum_type())));
  }
  if (policy.required_count() < 1) {
    return Fail(Code::kInvalidArgument,
                fmt::format("durability policy requires {} members: must be at least 1", policy.required_count()));
  }
  if (multi_cell && policy.required_count() > 2) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("{} is not supported: PostgreSQL can't wait for standbys of that many cells", PolicyText(policy)));
  }
  return {};
}

bool Satisfies(const DurabilityPolicy& policy, const MemberSet& holders) {
  if (!ValidatePolicy(policy)) return false;
  return Weight(policy, holders) >= static_cast<std::size_t>(policy.required_count());
}

Result<> CheckAchievable(const DurabilityPolicy& policy, const MemberSet& cohort) {
  auto valid = ValidatePolicy(policy);
  if (!valid) return valid;
  if (Satisfies(policy, cohort)) return {};
  return Fail(Code::kFailedPrecondition,
              fmt::format("durability not satisfied: {} needs {} {}, cohort [{}] has {}", PolicyText(policy),
                          policy.required_count(), Unit(policy), cohort.Text(), Weight(policy, cohort)));
}

bool IsDurable(const DurabilityPolicy& policy, const MemberSet& cohort, std::string_view leader,
               const MemberSet& ackers) {
  MemberSet holders = ackers;
  holders.Insert(std::string(leader));
  return Satisfies(policy, holders.Intersection(cohort));
}

std::string SyncStandbys::Text() const {
  std::vector<std::string> quoted;
  quoted.reserve(names.size());
  for (const std::string& name : names) quoted.push_back(Quoted(name));
  return fmt::format("ANY {} ({})", num_sync, fmt::join(quoted, ", "));
}

SyncStandbys Fence() {
  return {1, {"multigres-fence"}};
}

Result<SyncStandbys> SyncStandbysFor(const DurabilityPolicy& policy, const MemberSet& cohort, std::string_view leader) {
  auto achievable = CheckAchievable(policy, cohort);
  if (!achievable) return std::unexpected(std::move(achievable.error()));
  const bool inside = cohort.Contains(leader);
  const bool multi_cell = policy.quorum_type() == QUORUM_TYPE_MULTI_CELL_AT_LEAST_N;
  SyncStandbys standbys;
  standbys.num_sync = policy.required_count() - (inside ? 1 : 0);
  if (!multi_cell || !inside) standbys.names = cohort.texts();
  if (multi_cell && !inside) {
    // Its own cell doesn't count: so many that they can't all sit in one cell less than is required.
    standbys.num_sync = static_cast<int>(LargestCell(cohort)) * (policy.required_count() - 1) + 1;
  } else if (multi_cell) {
    for (const std::string& member : cohort) {
      if (CellOf(member) != CellOf(leader)) standbys.names.push_back(member);
    }
  }
  if (standbys.num_sync < 1 || standbys.names.empty()) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("{} with leader {} and cohort [{}] leaves no standby to wait for", PolicyText(policy),
                            leader, cohort.Text()));
  }
  return standbys;
}

Result<> CheckRecruitment(const DurabilityPolicy& policy, const MemberSet& cohort, const MemberSet& recruits) {
  auto achievable = CheckAchievable(policy, cohort);
  if (!achievable) return achievable;
  const MemberSet members = recruits.Intersection(cohort);
  const MemberSet rest = cohort.Minus(members);
  if (members.size() * 2 <= cohort.size() && Enforced(SafetyRule::kMajority)) {
    return Fail(
        Code::kFailedPrecondition,
        fmt::format("recruitment insufficient: [{}] is not a majority of cohort [{}]", members.Text(), cohort.Text()));
  }
  if (Satisfies(policy, rest) && Enforced(SafetyRule::kUnrecruitedSet)) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("recruitment insufficient: the unrecruited [{}] satisfy {} by themselves", rest.Text(),
                            PolicyText(policy)));
  }
  return {};
}

Result<> CheckCandidacy(const DurabilityPolicy& policy, const MemberSet& cohort, const MemberSet& recruits) {
  auto achievable = CheckAchievable(policy, cohort);
  if (!achievable) return achievable;
  const MemberSet members = recruits.Intersection(cohort);
  if (Satisfies(policy, members)) return {};
  return Fail(Code::kFailedPrecondition, fmt::format("candidacy insufficient: [{}] can't satisfy {} by themselves",
                                                     members.Text(), PolicyText(policy)));
}

Result<> CheckFeasible(const DurabilityPolicy& policy, const MemberSet& cohort, const MemberSet& recruits) {
  auto recruitment = CheckRecruitment(policy, cohort, recruits);
  if (!recruitment) return recruitment;
  return CheckCandidacy(policy, cohort, recruits);
}

std::size_t RecruitsNeeded(int required_count, std::size_t cohort_size) {
  const auto required = static_cast<std::size_t>(std::max(required_count, 1));
  const std::size_t blocking = cohort_size + 1 > required ? cohort_size + 1 - required : 0;
  return std::max({cohort_size / 2 + 1, blocking, required});
}

}  // namespace multigres::consensus
