#include "model/invariants.h"

#include "model/wal.h"

namespace multigres::model {

void Violate(const Model& model, State& state, Invariant invariant) {
  if (state.violated == Invariant::kNone && model.Checks(invariant)) state.violated = invariant;
}

void OnWriteAcknowledged(const Model& model, State& state, NodeId leader, int write) {
  const int term = PromotedTerm(state, state.nodes[leader]);
  state.acked_in_term[write] = static_cast<std::uint8_t>(term);
  for (const Attempt& attempt : state.attempts) {
    if (!attempt.served || attempt.term <= term) continue;
    if (!((attempt.served_writes >> write) & 1)) Violate(model, state, Invariant::kAckedWriteLost);
  }
}

void OnDecisionAcknowledged(const Model& model, State& state, NodeId leader, RuleId rule) {
  if (rule == kBaseRule) return;  // was decided before everything
  state.acked_decisions |= 1 << rule;
  const int term = PromotedTerm(state, state.nodes[leader]);
  for (const Attempt& attempt : state.attempts) {
    if (!attempt.served || attempt.term <= term) continue;
    if (!((attempt.served_decisions >> rule) & 1)) Violate(model, state, Invariant::kDecisionLost);
  }
}

void OnServing(const Model& model, State& state, NodeId leader) {
  const Node& node = state.nodes[leader];
  const int term = PromotedTerm(state, node);
  const Mask writes = WritesIn(node);
  const Mask decisions = DecisionsIn(node);
  for (int i = 0; i < kMaxWrites; ++i) {
    const int acked = state.acked_in_term[i];
    if (acked != 0 && acked < term && !((writes >> i) & 1)) Violate(model, state, Invariant::kAckedWriteLost);
  }
  for (RuleId rule = 1; rule <= kMaxAttempts + kMaxChanges; ++rule) {
    const bool acked = (state.acked_decisions >> rule) & 1;
    if (acked && TermOf(NumberOf(state, rule)) < term && !((decisions >> rule) & 1)) {
      Violate(model, state, Invariant::kDecisionLost);
    }
  }
  for (Attempt& attempt : state.attempts) {
    if (attempt.term != term || attempt.leader != leader || attempt.served) continue;
    attempt.served = true;
    attempt.served_writes = writes;
    attempt.served_decisions = decisions;
  }
}

void OnProposalWritten(const Model& model, State& state, RuleId rule) {
  for (RuleId other : WrittenRules(state)) {
    if (other == rule || NumberOf(state, other) != NumberOf(state, rule)) continue;
    const bool same = LeaderOf(state, other) == LeaderOf(state, rule) &&
                      CohortOf(model, state, other) == CohortOf(model, state, rule);
    if (!same) Violate(model, state, Invariant::kTwoLeaders);
  }
}

void OnWriteAdmitted(const Model& model, State& state, NodeId leader) {
  const Position position = PositionOf(state.nodes[leader]);
  const Node& node = state.nodes[leader];
  const bool named = LeaderOf(state, position.decision) == leader;
  const bool of_this_promotion = TermOf(NumberOf(state, position.decision)) == PromotedTerm(state, node);
  if (!named || !of_this_promotion) Violate(model, state, Invariant::kServesUndecided);
  if (node.phase == Phase::kIdle && node.sync_list != CohortOf(model, state, position.decision)) {
    Violate(model, state, Invariant::kSyncListWeak);
  }
}

void OnFlushReported(const Model& model, State& state, NodeId standby, NodeId primary) {
  if (IsPrefixOf(state.nodes[standby], state.nodes[primary])) return;
  Violate(model, state, Invariant::kAckOfOtherHistory);
}

}  // namespace multigres::model
