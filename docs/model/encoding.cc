#include "model/encoding.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <tuple>

namespace multigres::model {
namespace {

using NodeNames = std::array<NodeId, kMaxNodes>;

// Writes states under new names.
class Writer {
 public:
  Writer(int nodes, const State& state, const NodeNames& naming, char* out)
      : nodes_(nodes), state_(state), naming_(naming), begin_(out), out_(out) {
    for (int i = 0; i < nodes_; ++i) old_name_[naming_[i]] = static_cast<NodeId>(i);
    OrderAttempts();
  }

  // The number of bytes written.
  std::size_t Write() {
    for (int i = 0; i < nodes_; ++i) WriteNode(state_.nodes[old_name_[i]]);
    for (int i = 0; i < attempts_; ++i) WriteAttempt(state_.attempts[order_[i]]);
    Put(0);
    for (const Change& change : state_.changes) WriteChange(change);
    const Used& used = state_.used;
    Put(used.writes | used.crashes << 2 | used.restarts << 4 | used.rewinds << 6);
    Put(used.rewinds >> 2 | used.restores << 2);
    for (std::uint8_t term : state_.acked_in_term) Put(term);
    Put(Rules(state_.acked_decisions));
    return static_cast<std::size_t>(out_ - begin_);
  }

 private:
  void Put(int byte) { *out_++ = static_cast<char>(byte); }

  NodeId Name(NodeId node) const { return naming_[node]; }
  Mask Nodes(Mask nodes) const {
    Mask renamed = 0;
    for (int i = 0; i < nodes_; ++i) renamed |= ((nodes >> i) & 1) << naming_[i];
    return renamed;
  }
  RuleId RuleName(RuleId rule) const {
    return rule >= 1 && rule <= kMaxAttempts ? static_cast<RuleId>(1 + rank_[rule - 1]) : rule;
  }
  Mask Rules(Mask rules) const {
    Mask renamed = 0;
    for (int i = 0; i <= kMaxAttempts + kMaxChanges; ++i) renamed |= ((rules >> i) & 1) << RuleName(i);
    return renamed;
  }

  void OrderAttempts() {
    attempts_ = 0;
    while (attempts_ < kMaxAttempts && state_.attempts[attempts_].stage != Stage::kUnused) ++attempts_;
    std::iota(order_.begin(), order_.end(), 0);
    // Most pairs differ in the first three.
    const auto before = [this](int a, int b) {
      const Attempt& x = state_.attempts[a];
      const Attempt& y = state_.attempts[b];
      const auto first = std::tuple(x.term, x.outgoing, x.stage) <=> std::tuple(y.term, y.outgoing, y.stage);
      if (first != 0) return first < 0;
      return std::tuple(Nodes(x.answered), Name(x.leader), x.written, a) <
             std::tuple(Nodes(y.answered), Name(y.leader), y.written, b);
    };
    std::sort(order_.begin(), order_.begin() + attempts_, before);
    for (int i = 0; i < kMaxAttempts; ++i) rank_[order_[i]] = i;
  }

  void WritePosition(const Position& position) {
    Put(RuleName(position.decision) << 4 | RuleName(position.proposal));
    Put(position.lsn);
  }

  void WriteNode(const Node& node) {
    Put(node.length);
    for (int i = 0; i < node.length; ++i) {
      const Record& record = node.wal[i];
      const int id = record.kind == RecordKind::kWrite ? record.id : RuleName(record.id);
      Put(static_cast<int>(record.kind) << 4 | id);
    }
    Put((node.promised == 0 ? 0 : rank_[node.promised - 1] + 1) | (node.conninfo == 0 ? 0 : Name(node.conninfo - 1) + 1)
                                                                      << 4);
    Put(node.promised_outgoing);
    Put(node.followed);
    Put(node.primary | node.serving << 1 | node.diverged << 2 | node.sync_defined << 3 |
        static_cast<int>(node.floor_kind) << 4);
    if (node.floor_kind == FloorKind::kKnown) WritePosition(node.floor);
    Put(RuleName(node.recorded_decision) << 4 | RuleName(node.recorded_proposal));
    if (node.primary) WritePrimary(node);
  }

  void WritePrimary(const Node& node) {
    Put(static_cast<int>(node.phase) | node.waiting << 4);
    Put(RuleName(node.installing) << 4 | RuleName(node.install_next));
    Put(node.awaited);
    Put(Nodes(node.sync_list));
    Put(Nodes(node.late_walsenders));
    for (int i = 0; i < nodes_; ++i) Put(node.flushed[old_name_[i]]);
  }

  void WriteAttempt(const Attempt& attempt) {
    Put(attempt.term);
    Put(attempt.outgoing);
    Put(static_cast<int>(attempt.stage) | attempt.written << 2 | attempt.decided << 3 | attempt.served << 4);
    Put(Nodes(attempt.accepted));
    Put(Nodes(attempt.answered));
    for (int i = 0; i < nodes_; ++i) {
      if ((attempt.answered >> old_name_[i]) & 1) WritePosition(attempt.answers[old_name_[i]]);
    }
    if (attempt.stage == Stage::kProposed) {
      Put(Name(attempt.leader));
      Put(Nodes(attempt.cohort));
      Put(RuleName(attempt.decision) << 4 | RuleName(attempt.carried));
    }
    if (attempt.served) {
      Put(attempt.served_writes);
      Put(Rules(attempt.served_decisions));
    }
  }

  void WriteChange(const Change& change) {
    Put(change.number);
    if (change.number == 0) return;
    Put(RuleName(change.before) | Name(change.leader) << 4);
    Put(Nodes(change.cohort));
    Put(change.written | change.decided << 1);
  }

  const int nodes_;
  const State& state_;
  const NodeNames& naming_;
  char* const begin_;
  char* out_;
  NodeNames old_name_{};
  int attempts_ = 0;
  std::array<int, kMaxAttempts> order_{};  // new to old
  std::array<int, kMaxAttempts> rank_{};   // old to new
};

class Reader {
 public:
  Reader(int nodes, std::string_view bytes) : nodes_(nodes), bytes_(bytes) {}

  State Read() {
    State state;
    for (int i = 0; i < nodes_; ++i) ReadNode(state.nodes[i]);
    for (int i = 0; const int term = Get(); ++i) ReadAttempt(state.attempts[i], term);
    for (Change& change : state.changes) ReadChange(change);
    const int low = Get();
    const int high = Get();
    state.used.writes = low & 3;
    state.used.crashes = (low >> 2) & 3;
    state.used.restarts = (low >> 4) & 3;
    state.used.rewinds = static_cast<std::uint8_t>(((low >> 6) & 3) | (high & 3) << 2);
    state.used.restores = high >> 2;
    for (std::uint8_t& term : state.acked_in_term) term = Get();
    state.acked_decisions = Get();
    return state;
  }

 private:
  std::uint8_t Get() { return static_cast<std::uint8_t>(bytes_[at_++]); }

  Position ReadPosition() {
    const int rules = Get();
    return {.decision = static_cast<RuleId>(rules >> 4), .proposal = static_cast<RuleId>(rules & 15), .lsn = Get()};
  }

  void ReadNode(Node& node) {
    node.length = Get();
    for (int i = 0; i < node.length; ++i) {
      const int record = Get();
      node.wal[i] = {static_cast<RecordKind>(record >> 4), static_cast<std::uint8_t>(record & 15)};
    }
    const int byte = Get();
    node.promised = byte & 15;
    node.conninfo = static_cast<std::uint8_t>(byte >> 4);
    node.promised_outgoing = Get();
    node.followed = Get();
    const int flags = Get();
    node.primary = flags & 1;
    node.serving = flags & 2;
    node.diverged = flags & 4;
    node.sync_defined = flags & 8;
    node.floor_kind = static_cast<FloorKind>(flags >> 4);
    if (node.floor_kind == FloorKind::kKnown) node.floor = ReadPosition();
    const int recorded = Get();
    node.recorded_decision = static_cast<RuleId>(recorded >> 4);
    node.recorded_proposal = static_cast<RuleId>(recorded & 15);
    if (node.primary) ReadPrimary(node);
  }

  void ReadPrimary(Node& node) {
    const int phase = Get();
    node.phase = static_cast<Phase>(phase & 15);
    node.waiting = static_cast<Mask>(phase >> 4);
    const int installing = Get();
    node.installing = static_cast<RuleId>(installing >> 4);
    node.install_next = static_cast<RuleId>(installing & 15);
    node.awaited = Get();
    node.sync_list = Get();
    node.late_walsenders = Get();
    for (int i = 0; i < nodes_; ++i) node.flushed[i] = Get();
  }

  void ReadAttempt(Attempt& attempt, int term) {
    attempt.term = static_cast<std::uint8_t>(term);
    attempt.outgoing = Get();
    const int flags = Get();
    attempt.stage = static_cast<Stage>(flags & 3);
    attempt.written = flags & 4;
    attempt.decided = flags & 8;
    attempt.served = flags & 16;
    attempt.accepted = Get();
    attempt.answered = Get();
    for (int i = 0; i < nodes_; ++i) {
      if ((attempt.answered >> i) & 1) attempt.answers[i] = ReadPosition();
    }
    if (attempt.stage == Stage::kProposed) {
      attempt.leader = Get();
      attempt.cohort = Get();
      const int rules = Get();
      attempt.decision = static_cast<RuleId>(rules >> 4);
      attempt.carried = static_cast<RuleId>(rules & 15);
    }
    if (attempt.served) {
      attempt.served_writes = Get();
      attempt.served_decisions = Get();
    }
  }

  void ReadChange(Change& change) {
    change.number = Get();
    if (change.number == 0) return;
    const int byte = Get();
    change.before = static_cast<RuleId>(byte & 15);
    change.leader = static_cast<NodeId>(byte >> 4);
    change.cohort = Get();
    const int flags = Get();
    change.written = flags & 1;
    change.decided = flags & 2;
  }

  const int nodes_;
  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Encoder::Encoder(const Model& model) : nodes_(model.bounds.nodes) {
  Naming naming;
  std::iota(naming.begin(), naming.end(), 0);
  do {
    namings_.push_back(naming);
  } while (std::next_permutation(naming.begin() + 1, naming.begin() + nodes_));
}

void Encoder::Encode(const State& state, const Naming& naming, Buffer& out) const {
  out.size = Writer(nodes_, state, naming, out.bytes.data()).Write();
}

std::string_view Encoder::Canonical(const State& state) {
  int best = 0;
  Encode(state, namings_[0], buffers_[0]);
  for (std::size_t i = 1; i < namings_.size(); ++i) {
    Encode(state, namings_[i], buffers_[1 - best]);
    if (buffers_[1 - best].view() < buffers_[best].view()) best = 1 - best;
  }
  return buffers_[best].view();
}

State Encoder::Decode(const Model& model, std::string_view bytes) {
  return Reader(model.bounds.nodes, bytes).Read();
}

std::uint64_t Hash(std::string_view bytes) {
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15;
  const auto mix = [](std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t hash = mix(bytes.size() ^ 0x2545f4914f6cdd1d, kFactor);
  while (!bytes.empty()) {
    std::uint64_t chunk = 0;
    const std::size_t taken = std::min<std::size_t>(8, bytes.size());
    std::memcpy(&chunk, bytes.data(), taken);
    hash = mix(hash ^ chunk ^ 0xd6e8feb86659fd93, kFactor ^ (hash >> 32 | 1));
    bytes.remove_prefix(taken);
  }
  return hash;
}

}  // namespace multigres::model
