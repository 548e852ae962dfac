// Promises and floors: may a member take part (section 4 of the specification), and may it be recruited?
#pragma once

#include "model/state.h"

namespace multigres::model {

// Does a promise of `term`, made when `outgoing` was the most advanced rule, forbid taking part in these rules?
bool IsRuleRevoked(const Model& model, const State& state, const Position& position, int term, Number outgoing);
// The same by the node's own promise; false without one.
bool ForbiddenByPromise(const Model& model, const State& state, const Node& node, const Position& position);

bool FloorOutstanding(const Model& model, const State& state, const Node& node);
// Forgets a floor that the node has reached.
void ClearReachedFloor(const Model& model, const State& state, Node& node);
// Before a rewind.
void RaiseFloor(const Model& model, const State& state, Node& node);

// Would the node, standing at `own`, accept this attempt's Recruit?
bool AcceptsRecruit(const Model& model, const State& state, const Node& node, int attempt, const Position& own);
// Stores the promise.
void Promise(const Model& model, State& state, NodeId node, int attempt);

}  // namespace multigres::model
