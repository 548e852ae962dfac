// A member's WAL: where it stands, and what PostgreSQL's timelines make of two histories.
#pragma once

#include "model/state.h"

namespace multigres::model {

void Append(Node& node, RecordKind kind, std::uint8_t id);

// Rules as replayed up to `replayed` records, LSN of all that was received.
Position PositionAt(const Node& node, int replayed);
inline Position PositionOf(const Node& node) {
  return PositionAt(node, node.length);
}

// The highest rules first, decided or not (without newest-rule-first: not), then decisions, then proposals; then, for
// positions, LSNs.
int CompareRules(const Model& model, const State& state, const Position& a, const Position& b);
int ComparePositions(const Model& model, const State& state, const Position& a, const Position& b);

// The term of the last promotion in this WAL; 1 before the first.
int PromotedTerm(const State& state, const Node& node);

// As PostgreSQL judges, by timeline ids and their beginnings.
int TimelineOf(const Model& model, const State& state, const Node& node);
// Can `standby` stream from `upstream`, from its own end on?
bool CanStream(const Model& model, const State& state, const Node& standby, const Node& upstream);
// How much of the target's WAL pg_rewind keeps; all of it if it says that no rewind is required.
int CommonLength(const Model& model, const State& state, const Node& target, const Node& source);

// The truth, record by record: is this node's WAL a prefix of the other's?
bool IsPrefixOf(const Node& node, const Node& other);

// Bits of the writes and of the decided rules in this WAL.
Mask WritesIn(const Node& node);
Mask DecisionsIn(const Node& node);
// The LSN up to which the record lies; 0 if it isn't there.
int LsnOf(const Node& node, RecordKind kind, std::uint8_t id);

}  // namespace multigres::model
