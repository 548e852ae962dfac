#include "services/multiorch/recovery/analysis.h"

#include <map>

#include "services/multiorch/recovery/follower_analysis.h"
#include "services/multiorch/recovery/leader_analysis.h"

namespace multigres::orch {

std::vector<Problem> Analyse(const ShardView& view, const Moment& now, const ::clustermetadata::ID& self,
                             const Thresholds& thresholds) {
  const ShardFacts facts = Examine(view);
  const AnalysisInput input{view, facts, now, self, thresholds};
  std::vector<Problem> problems;
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
  for (auto& [member, problem] : by_member) chosen.push_back(std::move(problem));
  return chosen;
}

}  // namespace multigres::orch
