// The leader: out of recovery, proposal, decision, service; and the changes of the cohort that it writes itself.
#include "model/invariants.h"
#include "model/promise.h"
#include "model/quorum.h"
#include "model/transitions.h"
#include "model/wal.h"

namespace multigres::model {
namespace {

std::uint8_t Byte(int value) {
  return static_cast<std::uint8_t>(value);
}

// Who must acknowledge while `rule` replaces `decision`.
Mask BothList(const Frontier& frontier, RuleId decision, RuleId rule) {
  const Mask incoming = CohortOf(frontier.model, frontier.from, rule);
  if (!frontier.On(Rule::kBothBeforeIncoming)) return incoming;
  return Smaller(CohortOf(frontier.model, frontier.from, decision), incoming);
}

void ApplyList(Node& node, Mask list) {
  node.late_walsenders |= node.sync_list & ~list;
  node.sync_list = list;
}

// --- Promote

bool OutOfTimelines(const Frontier& frontier, const Node& node, int term) {
  if (!frontier.On(Rule::kOnePromotionPerTerm)) return false;
  // With unique ids this is "own timeline id > T".
  return PromotedTerm(frontier.from, node) >= term;
}

bool MayPromote(const Frontier& frontier, const Node& node, int number) {
  const Attempt& attempt = frontier.from.attempts[number];
  if (node.primary) return false;
  const bool recruited = node.promised == number + 1;
  if (frontier.On(Rule::kPromoteNeedsPromise) && !recruited) return false;
  if (frontier.On(Rule::kReceiverStopped) && frontier.On(Rule::kPromoteNeedsPromise) && node.conninfo != 0)
    return false;
  const Position own = PositionOf(node);
  if (frontier.On(Rule::kOwnPositionRevoked) &&
      !IsRuleRevoked(frontier.model, frontier.from, own, attempt.term, attempt.outgoing)) {
    return false;
  }
  if (FloorOutstanding(frontier.model, frontier.from, node) || OutOfTimelines(frontier, node, attempt.term))
    return false;
  return !frontier.On(Rule::kCompareAndSwap) || own.decision == attempt.decision;
}

void Promote(const Frontier& frontier, int number) {
  const Attempt& attempt = frontier.from.attempts[number];
  if (!MayPromote(frontier, frontier.from.nodes[attempt.leader], number)) return;
  State to = frontier.from;
  Node& node = to.nodes[attempt.leader];
  const RuleId rule = RuleOfAttempt(number);
  Append(node, RecordKind::kEndOfRecovery, rule);
  node.primary = true;
  node.conninfo = 0;
  node.sync_list = BothList(frontier, attempt.decision, rule);
  node.sync_defined = frontier.On(Rule::kFence);
  node.phase = Phase::kPromoted;
  node.installing = rule;
  if (!frontier.On(Rule::kCarryOver) && attempt.carried != kNoRule) {
    node.installing = attempt.carried;
    node.install_next = rule;
  }
  node.recorded_decision = node.recorded_proposal = kNoRule;
  if (!frontier.On(Rule::kDecisionBeforeServing)) {
    node.serving = true;
    OnServing(frontier.model, to, attempt.leader);
  }
  frontier.Emit({StepKind::kPromote, Byte(number)}, to);
}

// Something behind the rule's own records. (One is as good as two.)
void AwaitConfirmation(Node& node, RuleId rule) {
  if (node.length == 0 || node.wal[node.length - 1] != Record{RecordKind::kConfirm, rule}) {
    Append(node, RecordKind::kConfirm, rule);
  }
  node.awaited = node.length;
}

// The same Promote again, after PostgreSQL has left recovery for it.
void RetryPromote(const Frontier& frontier, int number) {
  const Attempt& attempt = frontier.from.attempts[number];
  const Node& before = frontier.from.nodes[attempt.leader];
  if (!before.primary || before.serving || before.phase != Phase::kIdle || before.promised != number + 1) return;
  if (PromotedTerm(frontier.from, before) != attempt.term) return;
  const Position own = PositionOf(before);
  const RuleId rule = RuleOfAttempt(number);
  // A rule of this very term, but another one: the leader has moved on.
  const bool begun = TermOf(NumberOf(frontier.from, own.Highest())) == attempt.term;
  if (begun && own.Highest() != rule) return;
  State to = frontier.from;
  Node& node = to.nodes[attempt.leader];
  node.installing = rule;
  if (!begun) {
    node.phase = Phase::kPromoted;
  } else {
    AwaitConfirmation(node, rule);
    node.phase = own.proposal == rule ? Phase::kProposed : Phase::kDecided;
  }
  frontier.Emit({StepKind::kRetryPromote, Byte(number)}, to);
}

// --- the writes of a rule

bool Acknowledged(const Model& model, const Node& node, NodeId id) {
  if (!Released(model, node, id, node.awaited)) return false;
  if (!model.On(Rule::kVerifiedAck)) return true;
  Mask holders = static_cast<Mask>(1 << id);
  for (int i = 0; i < model.bounds.nodes; ++i) {
    if (node.flushed[i] >= node.awaited) holders |= 1 << i;
  }
  return Satisfies(model, holders, node.sync_list);
}

void WriteProposal(const Frontier& frontier, NodeId id) {
  if (frontier.On(Rule::kExcludedSettled) && frontier.from.nodes[id].late_walsenders != 0) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  const RuleId rule = node.installing;
  Append(node, RecordKind::kProposal, rule);
  node.phase = Phase::kProposed;
  node.awaited = node.length;
  OnProposalWritten(frontier.model, to, rule);
  (rule > kMaxAttempts ? to.changes[rule - 1 - kMaxAttempts].written : to.attempts[rule - 1].written) = true;
  frontier.Emit({StepKind::kWriteProposal, id}, to);
}

void Decide(const Frontier& frontier, NodeId id) {
  const bool acknowledged = Acknowledged(frontier.model, frontier.from.nodes[id], id);
  if (!acknowledged && frontier.On(Rule::kProposalAck)) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  const RuleId rule = node.installing;
  Append(node, RecordKind::kDecision, rule);
  node.phase = Phase::kDecided;
  node.awaited = node.length;
  (rule > kMaxAttempts ? to.changes[rule - 1 - kMaxAttempts].decided : to.attempts[rule - 1].decided) = true;
  frontier.Emit({StepKind::kDecide, id}, to);
}

void Serve(const Frontier& frontier, NodeId id) {
  const bool acknowledged = Acknowledged(frontier.model, frontier.from.nodes[id], id);
  if (!acknowledged && frontier.On(Rule::kDecisionAck)) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  const RuleId rule = node.installing;
  if (acknowledged) OnDecisionAcknowledged(frontier.model, to, id, rule);
  if (node.install_next != kNoRule) {
    node.installing = node.install_next;
    node.install_next = kNoRule;
    node.phase = Phase::kPromoted;
    frontier.Emit({StepKind::kInstallNext, id}, to);
    return;
  }
  node.phase = Phase::kIdle;
  node.installing = kNoRule;
  node.awaited = 0;
  node.serving = true;
  node.diverged = false;
  ApplyList(node, CohortOf(frontier.model, to, rule));
  OnServing(frontier.model, to, id);
  frontier.Emit({StepKind::kServe, id}, to);
}

void ContinueWriting(const Frontier& frontier, NodeId id) {
  switch (frontier.from.nodes[id].phase) {
    case Phase::kIdle:
      return;
    case Phase::kPromoted:
      return WriteProposal(frontier, id);
    case Phase::kProposed:
      return Decide(frontier, id);
    case Phase::kDecided:
    case Phase::kConfirming:
      return Serve(frontier, id);
  }
}

// --- changes of the cohort

bool MayChange(const Frontier& frontier, NodeId id) {
  const Node& node = frontier.from.nodes[id];
  if (!node.primary || !node.serving || node.diverged) return false;
  const Position own = PositionOf(node);
  const bool open = own.proposal != kNoRule || node.phase != Phase::kIdle;
  if (open && (frontier.On(Rule::kCompareAndSwap) || node.phase == Phase::kPromoted)) return false;
  return LeaderOf(frontier.from, own.decision) == id && !ForbiddenByPromise(frontier.model, frontier.from, node, own);
}

void ChangeTo(const Frontier& frontier, NodeId id, int change, Mask cohort) {
  if (Count(cohort) < frontier.model.bounds.required || !((cohort >> id) & 1)) return;
  const RuleId decision = PositionOf(frontier.from.nodes[id]).decision;
  State to = frontier.from;
  to.changes[change] = {
      .number = static_cast<Number>(NumberOf(to, decision) + 1), .before = decision, .leader = id, .cohort = cohort};
  Node& node = to.nodes[id];
  node.phase = Phase::kPromoted;
  node.installing = RuleOfChange(change);
  const Mask both =
      frontier.On(Rule::kBothBeforeIncoming) ? Smaller(CohortOf(frontier.model, to, decision), cohort) : cohort;
  ApplyList(node, both);
  frontier.Emit({StepKind::kChange, id, Byte(change)}, to);
}

void ChangeCohort(const Frontier& frontier, NodeId id) {
  int change = 0;
  while (change < frontier.model.bounds.changes && frontier.from.changes[change].number != 0) ++change;
  if (change == frontier.model.bounds.changes || !MayChange(frontier, id)) return;
  const RuleId decision = PositionOf(frontier.from.nodes[id]).decision;
  const Mask cohort = CohortOf(frontier.model, frontier.from, decision);
  ChangeTo(frontier, id, change, cohort);
  for (int member = 0; member < frontier.nodes(); ++member) {
    ChangeTo(frontier, id, change, static_cast<Mask>(cohort ^ (1 << member)));
  }
}

// --- a pooler that was restarted beside its primary

bool MayReadmit(const Frontier& frontier, NodeId id) {
  const Node& node = frontier.from.nodes[id];
  if (!node.primary || node.serving || node.diverged || node.phase != Phase::kIdle) return false;
  const Position own = PositionOf(node);
  if (own.proposal != kNoRule || LeaderOf(frontier.from, own.decision) != id) return false;
  if (TermOf(NumberOf(frontier.from, own.decision)) != PromotedTerm(frontier.from, node)) return false;
  return !ForbiddenByPromise(frontier.model, frontier.from, node, own);
}

void Readmit(const Frontier& frontier, NodeId id) {
  if (!MayReadmit(frontier, id)) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  const RuleId rule = PositionOf(node).decision;
  ApplyList(node, CohortOf(frontier.model, to, rule));
  AwaitConfirmation(node, rule);
  node.installing = rule;
  node.phase = Phase::kConfirming;
  frontier.Emit({StepKind::kReadmit, id}, to);
}

// The checkpointer and the walsenders come round to reading the list that was written.
void Reload(const Frontier& frontier, NodeId id) {
  const Node& node = frontier.from.nodes[id];
  if (node.sync_defined && node.late_walsenders == 0) return;
  State to = frontier.from;
  to.nodes[id].sync_defined = true;
  to.nodes[id].late_walsenders = 0;
  frontier.Emit({StepKind::kReload, id}, to);
}

}  // namespace

void LeaderSteps(const Frontier& frontier) {
  for (int attempt = 0; attempt < frontier.model.bounds.attempts; ++attempt) {
    if (frontier.from.attempts[attempt].stage != Stage::kProposed) continue;
    Promote(frontier, attempt);
    RetryPromote(frontier, attempt);
  }
  for (NodeId id = 0; id < frontier.nodes(); ++id) {
    if (!frontier.from.nodes[id].primary) continue;
    ContinueWriting(frontier, id);
    ChangeCohort(frontier, id);
    Readmit(frontier, id);
    Reload(frontier, id);
  }
}

}  // namespace multigres::model
