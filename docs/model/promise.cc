#include "model/promise.h"

#include <algorithm>

#include "model/wal.h"

namespace multigres::model {

bool IsRuleRevoked(const Model& model, const State& state, const Position& position, int term, Number outgoing) {
  const Number decision = NumberOf(state, position.decision);
  const Number proposal = NumberOf(state, position.proposal);
  if (TermOf(decision) >= term || TermOf(proposal) >= term) return false;
  if (model.On(Rule::kProposalTerms) && TermOf(proposal) > TermOf(decision)) return true;
  return !(model.On(Rule::kRunawayOverride) && decision > outgoing);
}

bool ForbiddenByPromise(const Model& model, const State& state, const Node& node, const Position& position) {
  if (node.promised == 0) return false;
  return IsRuleRevoked(model, state, position, state.attempts[node.promised - 1].term, node.promised_outgoing);
}

bool FloorOutstanding(const Model& model, const State& state, const Node& node) {
  if (node.floor_kind == FloorKind::kNone) return false;
  return node.floor_kind == FloorKind::kUnknown || ComparePositions(model, state, PositionOf(node), node.floor) < 0;
}

void ClearReachedFloor(const Model& model, const State& state, Node& node) {
  if (FloorOutstanding(model, state, node)) return;
  node.floor_kind = FloorKind::kNone;
  node.floor = {};
}

void RaiseFloor(const Model& model, const State& state, Node& node) {
  if (!model.On(Rule::kRewindFloor)) return;
  if (model.On(Rule::kFloorGrows) && FloorOutstanding(model, state, node)) return;
  node.floor_kind = FloorKind::kKnown;
  node.floor = PositionOf(node);
}

bool AcceptsRecruit(const Model& model, const State& state, const Node& node, int attempt, const Position& own) {
  const Attempt& asked = state.attempts[attempt];
  const bool revoked = IsRuleRevoked(model, state, own, asked.term, asked.outgoing);
  if (model.On(Rule::kOwnPositionRevoked) && !revoked) return false;
  if (FloorOutstanding(model, state, node)) return false;
  if (node.promised == 0) return true;
  const int promised = state.attempts[node.promised - 1].term;
  if (model.On(Rule::kTermsCompared) && promised > asked.term) return false;
  return promised != asked.term || node.promised == attempt + 1 || !model.On(Rule::kSameTermIdentity);
}

namespace {

// Invariant 3 needs a memory of its own only where a rule that keeps it is off.
void RememberPromise(const Model& model, State& state, NodeId node, int attempt) {
  const bool kept =
      model.On(Rule::kPromisesDurable) && model.On(Rule::kTermsCompared) && model.On(Rule::kSameTermIdentity);
  if (kept || !model.Checks(Invariant::kPromiseBroken)) return;
  state.attempts[attempt].accepted |= 1 << node;
  for (int other = 0; other < kMaxAttempts; ++other) {
    const Attempt& accepted = state.attempts[other];
    if (other == attempt || !((accepted.accepted >> node) & 1)) continue;
    if (accepted.term >= state.attempts[attempt].term) state.violated = Invariant::kPromiseBroken;
  }
}

}  // namespace

void Promise(const Model& model, State& state, NodeId node_id, int attempt) {
  Node& node = state.nodes[node_id];
  const Number outgoing = state.attempts[attempt].outgoing;
  const bool grows = node.promised != 0 && model.On(Rule::kPromisesGrow);
  node.promised_outgoing = grows ? std::max(node.promised_outgoing, outgoing) : outgoing;
  node.promised = static_cast<std::uint8_t>(attempt + 1);
  RememberPromise(model, state, node_id, attempt);
}

}  // namespace multigres::model
