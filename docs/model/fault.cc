// Crashes. A member that is down for a while is one that takes no steps for a while: only what it forgets matters.
#include "model/invariants.h"
#include "model/promise.h"
#include "model/transitions.h"
#include "model/wal.h"

namespace multigres::model {
namespace {

void ForgetMemory(Node& node) {
  node.serving = false;
  node.diverged = false;
  node.waiting = 0;
  node.phase = Phase::kIdle;
  node.installing = node.install_next = kNoRule;
  node.awaited = 0;
  node.recorded_decision = node.recorded_proposal = kNoRule;
}

// Only with that rule off: PostgreSQL comes back out of recovery, and the pooler believes what it finds.
void StartWritable(const Frontier& frontier, State& to, NodeId id) {
  Node& node = to.nodes[id];
  const Position own = PositionOf(node);
  Violate(frontier.model, to, Invariant::kStartedWritable);
  node.flushed = {};
  node.sync_defined = true;
  node.late_walsenders = 0;
  node.serving =
      own.proposal == kNoRule && LeaderOf(to, own.decision) == id && !ForbiddenByPromise(frontier.model, to, node, own);
  if (node.serving) OnServing(frontier.model, to, id);
}

void Crash(const Frontier& frontier, NodeId id) {
  if (frontier.from.used.crashes == frontier.model.bounds.crashes) return;
  const Node& before = frontier.from.nodes[id];
  const bool forgets_promise = !frontier.On(Rule::kPromisesDurable) && before.promised != 0;
  const bool forgets = before.primary || before.diverged || before.recorded_decision != kNoRule || forgets_promise;
  if (!forgets) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  ForgetMemory(node);
  if (forgets_promise) node.promised = node.promised_outgoing = 0;
  if (node.primary && frontier.On(Rule::kCrashAsStandby)) BecomeStandby(node);
  if (node.primary) StartWritable(frontier, to, id);
  ++to.used.crashes;
  frontier.Emit({StepKind::kCrash, id}, to);
}

// The pooler alone, beside a running primary. (Beside a standby it is no different from a crash of both.)
void RestartPooler(const Frontier& frontier, NodeId id) {
  if (frontier.from.used.restarts == frontier.model.bounds.restarts || !frontier.from.nodes[id].primary) return;
  State to = frontier.from;
  ForgetMemory(to.nodes[id]);
  ++to.used.restarts;
  frontier.Emit({StepKind::kRestartPooler, id}, to);
}

}  // namespace

void FaultSteps(const Frontier& frontier) {
  for (NodeId id = 0; id < frontier.nodes(); ++id) {
    Crash(frontier, id);
    RestartPooler(frontier, id);
  }
}

}  // namespace multigres::model
