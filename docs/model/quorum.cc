#include "model/quorum.h"

#include <bit>

namespace multigres::model {

int Count(Mask nodes) {
  return std::popcount(nodes);
}

bool Satisfies(const Model& model, Mask holders, Mask cohort) {
  return Count(holders & cohort) >= model.bounds.required;
}

bool RecruitmentSuffices(const Model& model, Mask cohort, Mask recruits) {
  const Mask members = recruits & cohort;
  const Mask rest = static_cast<Mask>(cohort & ~members);
  if (model.On(Rule::kMajority) && 2 * Count(members) <= Count(cohort)) return false;
  return !model.On(Rule::kUnrecruitedCannotAck) || !Satisfies(model, rest, cohort);
}

bool CandidacySuffices(const Model& model, Mask cohort, Mask recruits) {
  return !model.On(Rule::kCandidacy) || Satisfies(model, recruits, cohort);
}

bool Nested(Mask a, Mask b) {
  return (a & b) == a || (a & b) == b;
}

Mask Smaller(Mask a, Mask b) {
  return Count(a) < Count(b) ? a : b;
}

}  // namespace multigres::model
