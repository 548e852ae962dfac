// Clients: a write is admitted by a serving leader, waits for the sync list, and is acknowledged.
#include "model/invariants.h"
#include "model/transitions.h"
#include "model/wal.h"

namespace multigres::model {
namespace {

void Write(const Frontier& frontier, NodeId id) {
  const Node& before = frontier.from.nodes[id];
  const int write = frontier.from.used.writes;
  if (!before.serving || !before.primary || before.diverged || write == frontier.model.bounds.writes) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  OnWriteAdmitted(frontier.model, to, id);
  Append(node, RecordKind::kWrite, static_cast<std::uint8_t>(write));
  node.waiting |= 1 << write;
  ++to.used.writes;
  frontier.Emit({StepKind::kWrite, id, static_cast<std::uint8_t>(write)}, to);
}

void Acknowledge(const Frontier& frontier, NodeId id, int write, StepKind how) {
  State to = frontier.from;
  to.nodes[id].waiting &= ~(1 << write);
  OnWriteAcknowledged(frontier.model, to, id, write);
  frontier.Emit({how, id, static_cast<std::uint8_t>(write)}, to);
}

}  // namespace

void ClientSteps(const Frontier& frontier) {
  for (NodeId id = 0; id < frontier.nodes(); ++id) {
    const Node& node = frontier.from.nodes[id];
    Write(frontier, id);
    for (int write = 0; write < frontier.model.bounds.writes; ++write) {
      if (!((node.waiting >> write) & 1)) continue;
      const int lsn = LsnOf(node, RecordKind::kWrite, static_cast<std::uint8_t>(write));
      if (Released(frontier.model, node, id, lsn)) Acknowledge(frontier, id, write, StepKind::kAckWrite);
      if (!frontier.On(Rule::kCancelIsUnknown)) Acknowledge(frontier, id, write, StepKind::kCancelWrite);
    }
  }
}

}  // namespace multigres::model
