// The durability policy AT_LEAST_N (section 3 of the specification).
#pragma once

#include "model/state.h"

namespace multigres::model {

int Count(Mask nodes);

// Holding it, do these members make a commit durable?
bool Satisfies(const Model& model, Mask holders, Mask cohort);
// May a new term build on these recruits?
bool RecruitmentSuffices(const Model& model, Mask cohort, Mask recruits);
// Can they acknowledge under the new rule by themselves?
bool CandidacySuffices(const Model& model, Mask cohort, Mask recruits);

// Is one cohort inside the other, so that there is a list that satisfies both?
bool Nested(Mask a, Mask b);
Mask Smaller(Mask a, Mask b);

}  // namespace multigres::model
