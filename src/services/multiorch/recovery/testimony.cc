#include "services/multiorch/recovery/testimony.h"

#include "common/consensus/durability.h"
#include "common/consensus/position.h"

namespace multigres::orch {
namespace {

bool IsWitness(const AnalysisInput& input, const PoolerView& pooler) {
  if (pooler.member == input.facts.leader || !input.facts.cohort.Contains(pooler.member)) return false;
  return IsResponsive(pooler, input.now, input.thresholds) && pooler.postgres().postgres_ready();
}

// Its own WAL holds the rule in force, so it has streamed from its leader; or the rule is old enough for everybody.
bool HadTimeToAttach(const AnalysisInput& input, const PoolerView& pooler) {
  return consensus::CompareRules(pooler.rules(), input.facts.rules) == 0 ||
         !RuleIsYounger(input, input.thresholds.promotion);
}

bool WouldFollow(const AnalysisInput& input, const PoolerView& pooler) {
  const auto& recorded = pooler.consensus().replication_primary().primary();
  return consensus::SameMember(recorded.id(), input.facts.rule().leader_id()) || IsSelfRevoked(input.facts, pooler);
}

// Its receiver has been gone for a while, or by its own promise.
bool StaysAway(const AnalysisInput& input, const PoolerView& pooler) {
  return IsSelfRevoked(input.facts, pooler) ||
         pooler.detached.value_or(Duration::max()) >= input.thresholds.detached / 2;
}

}  // namespace

bool Testimony::Revokes(const AnalysisInput& input) const {
  if (!seeing.empty()) return false;
  consensus::MemberSet without = cut_off;
  for (const std::string& member : standing_still) without.Insert(member);
  return consensus::CheckRecruitment(input.facts.rule().durability_policy(), input.facts.cohort, without).has_value();
}

Testimony Testify(const AnalysisInput& input, Duration still_for) {
  Testimony testimony;
  for (const PoolerView& pooler : input.view.poolers) {
    if (!IsWitness(input, pooler)) continue;
    if (IsStreaming(pooler)) {
      const bool still = pooler.progress_stall && *pooler.progress_stall >= still_for;
      (still ? testimony.standing_still : testimony.seeing).Insert(pooler.member);
    } else if (WouldFollow(input, pooler) && HadTimeToAttach(input, pooler) && StaysAway(input, pooler)) {
      testimony.cut_off.Insert(pooler.member);
    }
  }
  return testimony;
}

}  // namespace multigres::orch
