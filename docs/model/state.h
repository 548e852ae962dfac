// One moment of the shard: members, attempts to appoint a leader, changes of the cohort, and what was acknowledged.
//
// Messages need no place of their own. Whatever was sent once may arrive late, twice, in any order or never: a Recruit
// as long as its attempt exists, a Promote and a SetPrimary as long as their proposal does. So delivery is a step that
// an attempt enables from then on.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "model/switches.h"

namespace multigres::model {

inline constexpr int kMaxNodes = 5;
inline constexpr int kMaxAttempts = 4;
inline constexpr int kMaxChanges = 2;
inline constexpr int kMaxWrites = 2;
inline constexpr int kMaxWal = 28;

using NodeId = std::uint8_t;
using Mask = std::uint8_t;  // of nodes, writes or rules

// (term, subterm) in one value, so that numbers compare as rules do.
using Number = std::uint8_t;
constexpr Number MakeNumber(int term, int subterm) {
  return static_cast<Number>(term * 8 + subterm);
}
constexpr int TermOf(Number number) {
  return number / 8;
}
std::string NumberText(Number number);

// Which rule: 0 is the decided rule 1.0 that every exploration starts under, then one for each attempt's T.0, then one
// for each change of the cohort.
using RuleId = std::uint8_t;
inline constexpr RuleId kBaseRule = 0;
inline constexpr RuleId kNoRule = 15;
constexpr RuleId RuleOfAttempt(int attempt) {
  return static_cast<RuleId>(1 + attempt);
}
constexpr RuleId RuleOfChange(int change) {
  return static_cast<RuleId>(1 + kMaxAttempts + change);
}

// --- WAL

enum class RecordKind : std::uint8_t {
  kEndOfRecovery,  // pg_promote in the term of rule `id`: a new timeline begins
  kProposal,       // rule `id` becomes the open proposal
  kDecision,       // rule `id` is marked decided
  kWrite,          // a client's write `id`
  kConfirm,        // something small behind a rule, to learn whether a quorum still follows
};

struct Record {
  RecordKind kind : 4 {};
  std::uint8_t id : 4 = 0;
  friend bool operator==(const Record&, const Record&) = default;
};

// Decision, proposal beyond it (or kNoRule), LSN (the number of records).
struct Position {
  RuleId decision = kBaseRule;
  RuleId proposal = kNoRule;
  std::uint8_t lsn = 0;
  RuleId Highest() const { return proposal == kNoRule ? decision : proposal; }
  friend bool operator==(const Position&, const Position&) = default;
};

enum class FloorKind : std::uint8_t { kNone, kUnknown, kKnown };

// --- members

enum class Phase : std::uint8_t {
  kIdle,
  kPromoted,    // has to write the proposal of `installing`
  kProposed,    // waits for the acknowledgement of the proposal
  kDecided,     // ... of the decision
  kConfirming,  // ... of a confirmation, after a restart of the pooler alone
};

struct Node {
  // On disk.
  std::uint8_t length = 0;
  std::array<Record, kMaxWal> wal{};
  std::uint8_t promised = 0;  // attempt + 1; 0 = none
  Number promised_outgoing = 0;
  FloorKind floor_kind = FloorKind::kNone;
  Position floor;
  Number followed = 0;
  std::uint8_t conninfo = 0;  // node + 1; 0 = none
  // PostgreSQL.
  bool primary = false;
  bool sync_defined = true;                       // the checkpointer knows that there is a sync list
  Mask sync_list = 0;                             // 0 = the fence
  Mask late_walsenders = 0;                       // of members no longer in the list, not yet reloaded
  std::array<std::uint8_t, kMaxNodes> flushed{};  // what each standby has reported
  Mask waiting = 0;                               // client writes in their sync wait
  // The pooler's memory.
  bool serving = false;
  bool diverged = false;
  Phase phase = Phase::kIdle;
  RuleId installing = kNoRule;
  RuleId install_next = kNoRule;
  std::uint8_t awaited = 0;  // LSN
  RuleId recorded_decision = kNoRule;
  RuleId recorded_proposal = kNoRule;
};

// --- coordinators

enum class Stage : std::uint8_t { kUnused, kRecruiting, kProposed };

struct Attempt {
  Stage stage = Stage::kUnused;
  std::uint8_t term = 0;
  Number outgoing = 0;
  Mask accepted = 0;  // kept for the invariants, and only while a rule on promises is off
  Mask answered = 0;
  std::array<Position, kMaxNodes> answers{};
  // The proposal.
  NodeId leader = 0;
  Mask cohort = 0;
  RuleId decision = kBaseRule;  // of the most advanced recruit
  RuleId carried = kNoRule;     // its open proposal
  bool written = false;         // the proposal is or was in somebody's WAL
  bool decided = false;         // so is the decision
  // Kept for the invariants: what its leader's WAL held when it began to serve.
  bool served = false;
  Mask served_writes = 0;
  Mask served_decisions = 0;
};

// A change of the cohort by the leader.
struct Change {
  Number number = 0;  // 0 = unused
  RuleId before = kNoRule;
  NodeId leader = 0;
  Mask cohort = 0;
  bool written = false;
  bool decided = false;
};

enum class Invariant : std::uint8_t {
  kNone,
  kAckedWriteLost,     // 1
  kTwoLeaders,         // 2
  kPromiseBroken,      // 3
  kServesUndecided,    // 4
  kDecisionLost,       // 5
  kStartedWritable,    // 6
  kAckOfOtherHistory,  // 7
  kSyncListWeak,       // 8
};

struct Used {
  std::uint8_t writes = 0, crashes = 0, restarts = 0, rewinds = 0, restores = 0;
};

struct State {
  std::array<Node, kMaxNodes> nodes{};
  std::array<Attempt, kMaxAttempts> attempts{};
  std::array<Change, kMaxChanges> changes{};
  Used used;
  std::array<std::uint8_t, kMaxWrites>
      acked_in_term{};       // by a leader of which term was the write acknowledged; 0 = not
  Mask acked_decisions = 0;  // of rules
  Invariant violated = Invariant::kNone;
};

static_assert(std::has_unique_object_representations_v<State>);  // compared and copied as bytes

// How much may happen.
struct Bounds {
  int nodes = 3;
  int required = 2;  // AT_LEAST_N
  int attempts = 2;
  int writes = 1;
  int changes = 0;
  int crashes = 0;   // of PostgreSQL and its pooler
  int restarts = 0;  // of a pooler alone
  int rewinds = 0;
  int restores = 0;
  std::string Text() const;
};

struct Model {
  Bounds bounds;
  Switches switches;
  std::uint16_t invariants = 0xffff;  // those that count, a bit each

  bool On(Rule rule) const { return switches.On(rule); }
  bool Checks(Invariant invariant) const { return (invariants >> static_cast<int>(invariant)) & 1; }
  Mask Everybody() const { return static_cast<Mask>((1 << bounds.nodes) - 1); }
};

// A decided 1.0, led by A, with everybody in its cohort and streaming.
State InitialState(const Model& model);

// --- what a rule is
Number NumberOf(const State& state, RuleId rule);
NodeId LeaderOf(const State& state, RuleId rule);
Mask CohortOf(const Model& model, const State& state, RuleId rule);
bool IsWritten(const State& state, RuleId rule);
// Every rule that is or was in somebody's WAL.
std::vector<RuleId> WrittenRules(const State& state);

std::string NodeText(NodeId node);
std::string MaskText(Mask nodes);
std::string RuleText(const State& state, RuleId rule);
std::string PositionText(const State& state, const Position& position);
std::string RecordText(const State& state, const Record& record);
std::string_view InvariantText(Invariant invariant);

}  // namespace multigres::model
