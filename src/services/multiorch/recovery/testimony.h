// What the members of a cohort testify about their leader, each by its own clock: no orchestrator's network and no
// other machine's time is part of it.
#pragma once

#include "services/multiorch/recovery/analysis_input.h"

namespace multigres::orch {

struct Testimony {
  consensus::MemberSet seeing;          // stream, and its WAL or heartbeat row has moved lately
  consensus::MemberSet standing_still;  // stream, and nothing has moved for the time asked about
  consensus::MemberSet cut_off;         // would stream from it, and don't

  // Nobody sees the leader, and those who would are enough to revoke its policy: without them it commits nothing.
  bool Revokes(const AnalysisInput& input) const;
};

// Witnesses are the cohort's other members that report right now and whose own PostgreSQL answers. One that doesn't
// report what moves counts as seeing as long as it streams. A receiver that went away a moment ago, and a follower
// that a young rule's leader hasn't had yet, testify to nothing.
Testimony Testify(const AnalysisInput& input, Duration still_for);

}  // namespace multigres::orch
