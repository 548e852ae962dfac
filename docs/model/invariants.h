// What must hold (section 12 of the specification), checked where it can break.
#pragma once

#include "model/state.h"

namespace multigres::model {

// Sets state.violated, unless something is violated already or the invariant isn't to be checked.
void Violate(const Model& model, State& state, Invariant invariant);

// The leader has just told a client that its write is committed.
void OnWriteAcknowledged(const Model& model, State& state, NodeId leader, int write);
// A quorum holds the leader's decision of `rule`.
void OnDecisionAcknowledged(const Model& model, State& state, NodeId leader, RuleId rule);
// The leader begins to serve under its attempt's rule.
void OnServing(const Model& model, State& state, NodeId leader);
// The proposal of `rule` has been written.
void OnProposalWritten(const Model& model, State& state, RuleId rule);
// The leader takes a client's write.
void OnWriteAdmitted(const Model& model, State& state, NodeId leader);
// `standby` has told `primary` up to where it holds its WAL.
void OnFlushReported(const Model& model, State& state, NodeId standby, NodeId primary);

}  // namespace multigres::model
