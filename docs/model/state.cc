#include "model/state.h"

#include <fmt/format.h>

namespace multigres::model {

std::string NumberText(Number number) {
  return fmt::format("{}.{}", number / 8, number % 8);
}

State InitialState(const Model& model) {
  State state;
  for (int i = 0; i < model.bounds.nodes; ++i) {
    Node& node = state.nodes[i];
    node.followed = model.bounds.restores > 0 ? MakeNumber(1, 0) : 0;
    node.primary = node.serving = i == 0;
    node.sync_list = i == 0 ? model.Everybody() : 0;
    node.conninfo = i == 0 ? 0 : 1;
    node.recorded_decision = i == 0 ? kNoRule : kBaseRule;
  }
  return state;
}

Number NumberOf(const State& state, RuleId rule) {
  if (rule == kNoRule) return 0;
  if (rule == kBaseRule) return MakeNumber(1, 0);
  if (rule > kMaxAttempts) return state.changes[rule - 1 - kMaxAttempts].number;
  return MakeNumber(state.attempts[rule - 1].term, 0);
}

NodeId LeaderOf(const State& state, RuleId rule) {
  if (rule == kBaseRule) return 0;
  return rule > kMaxAttempts ? state.changes[rule - 1 - kMaxAttempts].leader : state.attempts[rule - 1].leader;
}

Mask CohortOf(const Model& model, const State& state, RuleId rule) {
  if (rule == kBaseRule) return model.Everybody();
  return rule > kMaxAttempts ? state.changes[rule - 1 - kMaxAttempts].cohort : state.attempts[rule - 1].cohort;
}

bool IsWritten(const State& state, RuleId rule) {
  if (rule == kBaseRule) return true;
  return rule > kMaxAttempts ? state.changes[rule - 1 - kMaxAttempts].written : state.attempts[rule - 1].written;
}

std::vector<RuleId> WrittenRules(const State& state) {
  std::vector<RuleId> written;
  for (RuleId rule = 0; rule <= kMaxAttempts + kMaxChanges; ++rule) {
    if (IsWritten(state, rule)) written.push_back(rule);
  }
  return written;
}

std::string Bounds::Text() const {
  return fmt::format(
      "{} nodes, AT_LEAST_{}; attempts {}, writes {}, cohort changes {}, crashes {}, pooler restarts {}, rewinds {}, "
      "restores {}",
      nodes, required, attempts, writes, changes, crashes, restarts, rewinds, restores);
}

std::string NodeText(NodeId node) {
  return std::string(1, static_cast<char>('A' + node));
}

std::string MaskText(Mask nodes) {
  std::string text;
  for (NodeId i = 0; i < kMaxNodes; ++i) {
    if ((nodes >> i) & 1) text += NodeText(i);
  }
  return text;
}

std::string RuleText(const State& state, RuleId rule) {
  return NumberText(NumberOf(state, rule));
}

std::string PositionText(const State& state, const Position& position) {
  std::string text = RuleText(state, position.decision);
  if (position.proposal != kNoRule) text += "+" + RuleText(state, position.proposal);
  return text + "@" + std::to_string(position.lsn);
}

std::string RecordText(const State& state, const Record& record) {
  switch (record.kind) {
    case RecordKind::kEndOfRecovery:
      return fmt::format("the promotion of term {}", TermOf(NumberOf(state, record.id)));
    case RecordKind::kProposal:
      return "proposal " + RuleText(state, record.id);
    case RecordKind::kDecision:
      return "decision " + RuleText(state, record.id);
    case RecordKind::kWrite:
      return fmt::format("w{}", record.id);
    case RecordKind::kConfirm:
      return "confirmation " + RuleText(state, record.id);
  }
  return "?";
}

std::string_view InvariantText(Invariant invariant) {
  switch (invariant) {
    case Invariant::kNone:
      return "none";
    case Invariant::kAckedWriteLost:
      return "1: an acknowledged write is not on a later leader";
    case Invariant::kTwoLeaders:
      return "2: two leaders of one rule number";
    case Invariant::kPromiseBroken:
      return "3: a promise is broken";
    case Invariant::kServesUndecided:
      return "4: writes are admitted before the rule is decided";
    case Invariant::kDecisionLost:
      return "5: an acknowledged decision is not on a later leader";
    case Invariant::kStartedWritable:
      return "6: PostgreSQL started writable";
    case Invariant::kAckOfOtherHistory:
      return "7: WAL of another history is acknowledged";
    case Invariant::kSyncListWeak:
      return "8: the sync list is weaker than the rule";
  }
  return "?";
}

}  // namespace multigres::model
