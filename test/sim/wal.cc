#include "test/sim/wal.h"

#include <algorithm>

namespace multigres::sim {

namespace {

constexpr ::multigres::consensus::Lsn kFirst = 0x1000000;
constexpr ::multigres::consensus::Lsn kBytes = 0x100;

}  // namespace

::multigres::consensus::Lsn LsnAt(std::size_t length) {
  return kFirst + length * kBytes;
}

std::size_t LengthAt(::multigres::consensus::Lsn lsn) {
  return lsn <= kFirst ? 0 : static_cast<std::size_t>((lsn - kFirst) / kBytes);
}

void Wal::Append(const Record* record) {
  if (record->timeline != timeline()) history_.push_back({record->timeline, records_.size()});
  records_.push_back(record);
}

void Wal::Truncate(std::size_t length) {
  if (length >= records_.size()) return;
  records_.resize(length);
  while (history_.size() > 1 && history_.back().begin >= length) history_.pop_back();
}

bool MayStream(const Wal& standby, const Wal& source, std::size_t source_flushed) {
  const auto& history = source.history();
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (history[i].timeline != standby.timeline()) continue;
    const std::size_t end = i + 1 < history.size() ? history[i + 1].begin : source_flushed;
    return standby.size() <= end;
  }
  return false;
}

Divergence Compare(const Wal& target, std::uint32_t target_checkpoint, const Wal& source,
                   std::uint32_t source_checkpoint) {
  Divergence divergence;
  if (target_checkpoint == source_checkpoint) {
    divergence.same_timeline = true;
    return divergence;
  }
  const auto& a = target.history();
  const auto& b = source.history();
  std::size_t shared = 0;
  while (shared < a.size() && shared < b.size() && a[shared] == b[shared]) ++shared;
  if (shared == 0) return divergence;
  divergence.common = std::min(target.EndOf(shared - 1), source.EndOf(shared - 1));
  divergence.rewind_needed = target.size() > divergence.common;
  return divergence;
}

const Record* Ledger::Add(Record record) {
  record.id = records_.size() + 1;
  records_.push_back(std::move(record));
  return &records_.back();
}

const Record* Ledger::Make(Record::Kind kind, std::uint32_t timeline, const Record* before) {
  return Add({.kind = kind,
              .id = 0,
              .timeline = timeline,
              .rules = before != nullptr ? before->rules : nullptr,
              .heartbeat_ns = before != nullptr ? before->heartbeat_ns : 0});
}

const Record* Ledger::MakeRule(Record::Kind kind, std::uint32_t timeline, const Record* before, Rules rules) {
  return Add({.kind = kind,
              .id = 0,
              .timeline = timeline,
              .rules = std::move(rules),
              .heartbeat_ns = before != nullptr ? before->heartbeat_ns : 0});
}

const Record* Ledger::MakeHeartbeat(std::uint32_t timeline, const Record* before, std::int64_t ts_ns) {
  return Add({.kind = Record::Kind::kHeartbeat,
              .id = 0,
              .timeline = timeline,
              .rules = before != nullptr ? before->rules : nullptr,
              .heartbeat_ns = ts_ns});
}

}  // namespace multigres::sim
