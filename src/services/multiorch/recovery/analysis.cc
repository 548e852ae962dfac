#include "services/multiorch/recovery/analysis.h"

#include <map>

#include "common/consensus/equivocation.h"
#include "services/multiorch/recovery/follower_analysis.h"
#include "services/multiorch/recovery/leader_analysis.h"

namespace multigres::orch {

namespace {

// One number, two rules: whatever were done on top of that would be built on sand.
std::optional<Problem> FindEquivocation(const ShardView& view) {
  std::vector<const ::clustermetadata::RulePosition*> positions;
  for (const PoolerView& pooler : view.poolers) {
    positions.push_back(&pooler.rules());
    positions.push_back(&pooler.consensus().replication_primary().position());
  }
  auto consistent = consensus::CheckEquivocation(positions);
  if (consistent) return std::nullopt;
  return Problem{ProblemCode::kRuleEquivocation, ActionKind::kNone, "",
                 consistent.error().message() + ": nothing is done until an operator has decided"};
}

}  // namespace

std::vector<Problem> Analyse(const ShardView& view, const Moment& now, const ::clustermetadata::ID& self,
                             const Thresholds& thresholds) {
  const ShardFacts facts = Examine(view);
  const AnalysisInput input{view, facts, now, self, thresholds};
  std::vector<Problem> problems;
  if (auto equivocation = FindEquivocation(view)) return {std::move(*equivocation)};
  if (!facts.HasCohort()) {
    AnalyseInitialization(input, problems);
    return problems;
  }
  AnalyseLeader(input, problems);
  AnalyseFollowers(input, problems);
  std::ranges::sort(problems, std::less<>(), [](const Problem& problem) {
    return std::tuple(-Priority(problem.code), problem.code, problem.member);
  });
  return problems;
}

std::vector<Problem> Decide(const std::vector<Problem>& problems) {
  std::map<std::string, Problem> by_member;
  bool removal = false;
  for (const Problem& problem : problems) {
    if (problem.action == ActionKind::kNone) continue;
    if (problem.IsShardWide()) return {problem};
    if (by_member.contains(problem.member)) continue;
    if (problem.action == ActionKind::kRemoveFromCohort && std::exchange(removal, true)) continue;
    by_member.emplace(problem.member, problem);
  }
  std::vector<Problem> chosen;
  chosen.reserve(by_member.size());
  for (auto& [member, problem] : by_member) chosen.push_back(std::move(problem));
  return chosen;
}

}  // namespace multigres::orch
