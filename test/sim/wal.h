// Write-ahead log as the simulation has it: records with identities, on timelines.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "clustermetadata.pb.h"
#include "common/consensus/lsn.h"

namespace multigres::sim {

using Rules = std::shared_ptr<const ::clustermetadata::RulePosition>;

// Immutable, and never made twice: two WALs agree at a place iff the records there are the same object.
struct Record {
  enum class Kind : std::uint8_t {
    kSeed,
    kWrite,
    kProposal,
    kDecision,
    kConfirmation,
    kHeartbeat,
    kCheckpoint,
    kPromotion
  };
  Kind kind;
  std::uint64_t id;
  std::uint32_t timeline;
  Rules rules;  // in force after it; null before the bootstrap
  std::int64_t heartbeat_ns;
};

// A timeline, and how many records lie before it.
struct Branch {
  std::uint32_t timeline;
  std::size_t begin;
  friend bool operator==(const Branch&, const Branch&) = default;
};

class Wal {
 public:
  std::size_t size() const { return records_.size(); }
  const Record& operator[](std::size_t index) const { return *records_[index]; }
  const Record* last() const { return records_.empty() ? nullptr : records_.back(); }
  const std::vector<Branch>& history() const { return history_; }
  std::uint32_t timeline() const { return history_.empty() ? 0 : history_.back().timeline; }

  // A record of a timeline other than the last one begins that one.
  void Append(const Record* record);
  // Keeps the first `length` records.
  void Truncate(std::size_t length);
  // The first `length` records are there and end with the record of this id.
  bool Holds(std::size_t length, std::uint64_t id) const {
    return length > 0 && length <= size() && records_[length - 1]->id == id;
  }
  // Of a timeline in the own history: where it ends; size() for the last.
  std::size_t EndOf(std::size_t branch) const {
    return branch + 1 < history_.size() ? history_[branch + 1].begin : size();
  }

 private:
  std::vector<const Record*> records_;
  std::vector<Branch> history_;
};

::multigres::consensus::Lsn LsnAt(std::size_t length);
std::size_t LengthAt(::multigres::consensus::Lsn lsn);

// What a walsender says to a standby that asks to go on from the end of its own WAL, as PostgreSQL decides: by timeline
// ids and positions alone, never by content.
bool MayStream(const Wal& standby, const Wal& source, std::size_t source_flushed);

// What pg_rewind finds. `common` = how many records both have, as far as their histories tell.
struct Divergence {
  bool same_timeline = false;  // "source and target cluster are on the same timeline": nothing is done
  bool rewind_needed = false;
  std::size_t common = 0;
};
// By the timelines of the last checkpoints and the histories.
Divergence Compare(const Wal& target, std::uint32_t target_checkpoint, const Wal& source,
                   std::uint32_t source_checkpoint);

// Makes records.
class Ledger {
 public:
  const Record* Make(Record::Kind kind, std::uint32_t timeline, const Record* before);
  const Record* MakeRule(Record::Kind kind, std::uint32_t timeline, const Record* before, Rules rules);
  const Record* MakeHeartbeat(std::uint32_t timeline, const Record* before, std::int64_t ts_ns);
  std::size_t size() const { return records_.size(); }

 private:
  const Record* Add(Record record);
  std::deque<Record> records_;
};

}  // namespace multigres::sim
