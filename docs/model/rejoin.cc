// Ways back into the shard: pg_rewind against a leader, restore of a backup, and the floor below which neither may
// vote.
#include <algorithm>

#include "model/promise.h"
#include "model/transitions.h"
#include "model/wal.h"

namespace multigres::model {
namespace {

// The leader that the node would return to; null if it knows of none that its promise allows.
const Node* LeaderToReturnTo(const Frontier& frontier, NodeId id, Position* recorded) {
  const Node& node = frontier.from.nodes[id];
  if (node.recorded_decision == kNoRule) return nullptr;
  *recorded = {.decision = node.recorded_decision, .proposal = node.recorded_proposal};
  const NodeId leader = LeaderOf(frontier.from, recorded->Highest());
  if (leader == id || ForbiddenByPromise(frontier.model, frontier.from, node, *recorded)) return nullptr;
  return &frontier.from.nodes[leader];
}

void RewindTo(const Frontier& frontier, NodeId id, const Position& recorded, int kept) {
  State to = frontier.from;
  Node& node = to.nodes[id];
  RaiseFloor(frontier.model, to, node);
  if (node.primary) BecomeStandby(node);
  for (int i = kept; i < node.length; ++i) node.wal[i] = {};
  node.length = static_cast<std::uint8_t>(kept);
  node.diverged = false;
  node.conninfo = static_cast<std::uint8_t>(LeaderOf(to, recorded.Highest()) + 1);
  if (frontier.model.bounds.restores > 0) node.followed = std::max(node.followed, NumberOf(to, recorded.Highest()));
  ClearReachedFloor(frontier.model, to, node);
  ++to.used.rewinds;
  frontier.Emit({StepKind::kRewind, id, static_cast<std::uint8_t>(kept)}, to);
}

// By the highest rule that it knows of, in its WAL or from SetPrimary.
bool KnowsItselfLeader(const Frontier& frontier, NodeId id, const Position& recorded) {
  const Position own = PositionOf(frontier.from.nodes[id]);
  const bool newer = CompareRules(frontier.model, frontier.from, recorded, own) > 0;
  return LeaderOf(frontier.from, (newer ? recorded : own).Highest()) == id;
}

// Divergence may be suspected of any follower at any time; pg_rewind then finds out. What it keeps begins at a
// checkpoint before the fork: anywhere down to the beginning, of which the two ends are tried.
void Rewind(const Frontier& frontier, NodeId id) {
  Position recorded;
  const Node* leader = LeaderToReturnTo(frontier, id, &recorded);
  if (leader == nullptr || frontier.from.used.rewinds == frontier.model.bounds.rewinds) return;
  if (KnowsItselfLeader(frontier, id, recorded)) return;
  // It must have left recovery in the term of that rule.
  if (PromotedTerm(frontier.from, *leader) < TermOf(NumberOf(frontier.from, recorded.Highest()))) return;
  const Node& node = frontier.from.nodes[id];
  const int common = CommonLength(frontier.model, frontier.from, node, *leader);
  RewindTo(frontier, id, recorded, common);
  if (common < node.length && common > 0) RewindTo(frontier, id, recorded, 0);
}

void Restore(const Frontier& frontier, NodeId id) {
  if (frontier.from.used.restores == frontier.model.bounds.restores) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  const Node before = node;
  node = {};
  node.promised = before.promised;
  node.promised_outgoing = before.promised_outgoing;
  node.followed = before.followed;
  if (frontier.On(Rule::kRestoreFloor)) node.floor_kind = FloorKind::kUnknown;
  ++to.used.restores;
  frontier.Emit({StepKind::kRestore, id}, to);
}

void ReadFloor(const Frontier& frontier, NodeId id) {
  if (frontier.from.nodes[id].floor_kind != FloorKind::kUnknown) return;
  Position recorded;
  const Node* leader = LeaderToReturnTo(frontier, id, &recorded);
  if (leader == nullptr) return;
  if (frontier.On(Rule::kFloorFromPrimary) && !(leader->primary && leader->serving)) return;
  const Position theirs = PositionOf(*leader);
  const Number rule = NumberOf(frontier.from, theirs.Highest());
  if (frontier.On(Rule::kFloorOfFollowed) && rule < frontier.from.nodes[id].followed) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  node.floor_kind = FloorKind::kKnown;
  node.floor = theirs;
  ClearReachedFloor(frontier.model, to, node);
  frontier.Emit({StepKind::kReadFloor, id}, to);
}

}  // namespace

void RejoinSteps(const Frontier& frontier) {
  for (NodeId id = 0; id < frontier.nodes(); ++id) {
    Rewind(frontier, id);
    Restore(frontier, id);
    ReadFloor(frontier, id);
  }
}

}  // namespace multigres::model
