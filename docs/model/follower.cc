// Followers: whom SetPrimary makes them follow, and streaming from there.
#include <algorithm>

#include "model/invariants.h"
#include "model/promise.h"
#include "model/transitions.h"
#include "model/wal.h"

namespace multigres::model {
namespace {

bool Leads(const State& state, const Position& position, NodeId id) {
  return LeaderOf(state, position.Highest()) == id;
}

Position RecordedBy(const Node& node) {
  return {.decision = node.recorded_decision, .proposal = node.recorded_proposal};
}

void Follow(const Frontier& frontier, State& to, NodeId id, const Position& position) {
  Node& node = to.nodes[id];
  const RuleId rule = position.Highest();
  node.conninfo = static_cast<std::uint8_t>(LeaderOf(to, rule) + 1);
  if (frontier.model.bounds.restores > 0) node.followed = std::max(node.followed, NumberOf(to, rule));
}

// The position is worth following: it is ahead of the own one.
void FollowNewer(const Frontier& frontier, State& to, NodeId id, const Position& position) {
  Node& node = to.nodes[id];
  const bool led = frontier.On(Rule::kSelfLedRewinds) && Leads(to, PositionOf(node), id);
  if (!node.primary && !led && !node.diverged) return Follow(frontier, to, id, position);
  node.diverged = true;
  node.serving = false;
}

void SetPrimary(const Frontier& frontier, NodeId id, const Position& position, bool decided) {
  const Model& model = frontier.model;
  const Node& before = frontier.from.nodes[id];
  if (model.On(Rule::kSetPrimaryChecksPromise) && ForbiddenByPromise(model, frontier.from, before, position)) return;
  const bool only_newer = model.On(Rule::kSetPrimaryOnlyNewer);
  const bool known = before.recorded_decision != kNoRule;
  if (only_newer && known && CompareRules(frontier.model, frontier.from, position, RecordedBy(before)) < 0) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  node.recorded_decision = position.decision;
  node.recorded_proposal = position.proposal;
  const Position own = PositionOf(node);
  const int order = CompareRules(frontier.model, to, position, own);
  if (order > 0 || !only_newer) {
    FollowNewer(frontier, to, id, position);
  } else if (!node.primary && !node.diverged && !Leads(to, order == 0 ? position : own, id)) {
    Follow(frontier, to, id, position);
  }
  frontier.Emit({StepKind::kSetPrimary, position.Highest(), decided, id}, to);
}

void Announce(const Frontier& frontier, const Position& position, bool decided) {
  const NodeId leader = LeaderOf(frontier.from, position.Highest());
  for (NodeId id = 0; id < frontier.nodes(); ++id) {
    if (id != leader) SetPrimary(frontier, id, position, decided);
  }
}

// Whatever a coordinator has ever been able to say about a leader, it may say now.
void Announcements(const Frontier& frontier) {
  Announce(frontier, {.decision = kBaseRule}, true);
  for (int i = 0; i < frontier.model.bounds.attempts; ++i) {
    const Attempt& attempt = frontier.from.attempts[i];
    if (attempt.stage != Stage::kProposed) continue;
    const bool claimed = !frontier.On(Rule::kCarryOver) && attempt.carried != kNoRule;
    const RuleId decision = claimed ? attempt.carried : attempt.decision;
    Announce(frontier, {.decision = decision, .proposal = RuleOfAttempt(i)}, false);
    if (attempt.decided) Announce(frontier, {.decision = RuleOfAttempt(i)}, true);
  }
  for (int i = 0; i < frontier.model.bounds.changes; ++i) {
    const Change& change = frontier.from.changes[i];
    if (change.written) Announce(frontier, {.decision = change.before, .proposal = RuleOfChange(i)}, false);
    if (change.decided) Announce(frontier, {.decision = RuleOfChange(i)}, true);
  }
}

// One record, reported at once. (The primary may act on the report at any later time.)
void Stream(const Frontier& frontier, NodeId id) {
  const Node& before = frontier.from.nodes[id];
  if (before.primary || before.conninfo == 0) return;
  const NodeId source = before.conninfo - 1;
  const Node& upstream = frontier.from.nodes[source];
  if (source == id || !CanStream(frontier.model, frontier.from, before, upstream)) return;
  const bool more = before.length < upstream.length;
  if (!more && (!upstream.primary || upstream.flushed[id] >= before.length)) return;
  State to = frontier.from;
  Node& node = to.nodes[id];
  if (more) {
    const Record& record = upstream.wal[before.length];
    Append(node, record.kind, record.id);
    ClearReachedFloor(frontier.model, to, node);
  }
  if (upstream.primary) {
    to.nodes[source].flushed[id] = node.length;
    OnFlushReported(frontier.model, to, id, source);
  }
  frontier.Emit({StepKind::kStream, id, source}, to);
}

}  // namespace

void FollowerSteps(const Frontier& frontier) {
  Announcements(frontier);
  for (NodeId id = 0; id < frontier.nodes(); ++id) Stream(frontier, id);
}

}  // namespace multigres::model
