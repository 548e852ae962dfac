#include "model/wal.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace multigres::model {
namespace {

struct Timeline {
  int id;
  int begin;  // LSN
  int end;
};

struct History {
  std::array<Timeline, kMaxWal + 1> timelines;
  int count = 0;
  const Timeline& last() const { return timelines[count - 1]; }
};

// Term 1 was promoted onto timeline 2 before the exploration begins. With unique ids term T's is T+1, and PostgreSQL
// never takes one that isn't above its own.
History HistoryOf(const Model& model, const State& state, const Node& node) {
  History history;
  history.timelines[history.count++] = {2, 0, node.length};
  for (int i = 0; i < node.length; ++i) {
    if (node.wal[i].kind != RecordKind::kEndOfRecovery) continue;
    Timeline& before = history.timelines[history.count - 1];
    before.end = i;
    int id = before.id + 1;
    if (model.On(Rule::kUniqueTimelines)) id = std::max(id, TermOf(NumberOf(state, node.wal[i].id)) + 1);
    history.timelines[history.count++] = {id, i, node.length};
  }
  return history;
}

int Order(int a, int b) {
  return a < b ? -1 : a > b;
}

}  // namespace

void Append(Node& node, RecordKind kind, std::uint8_t id) {
  if (node.length == kMaxWal) {
    std::fputs("model: kMaxWal is too small for these bounds\n", stderr);
    std::abort();
  }
  node.wal[node.length++] = {kind, id};
}

Position PositionAt(const Node& node, int replayed) {
  Position position;
  position.lsn = node.length;
  for (int i = 0; i < replayed; ++i) {
    const Record& record = node.wal[i];
    if (record.kind == RecordKind::kProposal) position.proposal = record.id;
    if (record.kind == RecordKind::kDecision) {
      position.decision = record.id;
      position.proposal = kNoRule;
    }
  }
  return position;
}

int CompareRules(const Model& model, const State& state, const Position& a, const Position& b) {
  const int newest = Order(NumberOf(state, a.Highest()), NumberOf(state, b.Highest()));
  if (model.On(Rule::kNewestRuleFirst) && newest != 0) return newest;
  const int order = Order(NumberOf(state, a.decision), NumberOf(state, b.decision));
  return order != 0 ? order : Order(NumberOf(state, a.proposal), NumberOf(state, b.proposal));
}

int ComparePositions(const Model& model, const State& state, const Position& a, const Position& b) {
  const int order = CompareRules(model, state, a, b);
  return order != 0 ? order : Order(a.lsn, b.lsn);
}

int PromotedTerm(const State& state, const Node& node) {
  for (int i = node.length - 1; i >= 0; --i) {
    if (node.wal[i].kind == RecordKind::kEndOfRecovery) return TermOf(NumberOf(state, node.wal[i].id));
  }
  return 1;
}

int TimelineOf(const Model& model, const State& state, const Node& node) {
  return HistoryOf(model, state, node).last().id;
}

bool CanStream(const Model& model, const State& state, const Node& standby, const Node& upstream) {
  const int own = TimelineOf(model, state, standby);
  const History history = HistoryOf(model, state, upstream);
  for (int i = 0; i < history.count; ++i) {
    const Timeline& timeline = history.timelines[i];
    if (timeline.id != own) continue;
    return (i == 0 || standby.length > timeline.begin) && standby.length <= timeline.end;
  }
  return false;
}

int CommonLength(const Model& model, const State& state, const Node& target, const Node& source) {
  const History ours = HistoryOf(model, state, target);
  const History theirs = HistoryOf(model, state, source);
  if (ours.last().id == theirs.last().id) return target.length;
  int common = 0;
  for (int i = 0; i < std::min(ours.count, theirs.count); ++i) {
    const Timeline& a = ours.timelines[i];
    const Timeline& b = theirs.timelines[i];
    if (a.id != b.id || a.begin != b.begin) break;
    common = std::min(a.end, b.end);
  }
  return common;
}

bool IsPrefixOf(const Node& node, const Node& other) {
  return node.length <= other.length && std::equal(node.wal.begin(), node.wal.begin() + node.length, other.wal.begin());
}

Mask WritesIn(const Node& node) {
  Mask writes = 0;
  for (int i = 0; i < node.length; ++i) {
    if (node.wal[i].kind == RecordKind::kWrite) writes |= 1 << node.wal[i].id;
  }
  return writes;
}

Mask DecisionsIn(const Node& node) {
  Mask rules = 0;
  for (int i = 0; i < node.length; ++i) {
    if (node.wal[i].kind == RecordKind::kDecision) rules |= 1 << node.wal[i].id;
  }
  return rules;
}

int LsnOf(const Node& node, RecordKind kind, std::uint8_t id) {
  for (int i = node.length - 1; i >= 0; --i) {
    if (node.wal[i] == Record{kind, id}) return i + 1;
  }
  return 0;
}

}  // namespace multigres::model
