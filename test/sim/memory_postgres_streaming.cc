// A MemoryPostgres as a standby and as its source: receiver, walsenders, and the commits that wait for them.
#include "test/sim/memory_postgres.h"

namespace multigres::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::size_t kSegment = 16;  // records
constexpr Duration kKeepalive = seconds(4);
constexpr Duration kReconnect = milliseconds(100);  // wal_retrieve_retry_interval

// host='...' of a conninfo that the pooler wrote.
std::string HostOf(const std::string& conninfo) {
  const auto at = conninfo.find("host='");
  if (at == std::string::npos) return {};
  const auto begin = at + 6;
  return conninfo.substr(begin, conninfo.find('\'', begin) - begin);
}

}  // namespace

// It ends once all that it has written is on the disk and told (WalRcvDie).
void MemoryPostgres::DisconnectReceiver() {
  if (!receiver_ || (disk_hung_ && disk_.flushed < disk_.wal.size())) return;
  disk_.flushed = disk_.wal.size();
  if (receiver_->wrote) received_ = disk_.flushed;
  MemoryPostgres& source = *receiver_->source;
  // Over a cut link the other side doesn't learn of it.
  if (source.incarnation_ == receiver_->source_incarnation && world_.network.PassesBoth(host_, source.host_)) {
    source.senders_.erase(name_);
  }
  receiver_.reset();
  reconnect_at_ = world_.clock.Now() + kReconnect;
}

void MemoryPostgres::PumpReceiver() {
  const TimePoint now = world_.clock.Now();
  const std::string wanted = HostOf(startup_.value.conninfo);
  if (receiver_) {
    MemoryPostgres& source = *receiver_->source;
    const bool linked = world_.network.PassesBoth(host_, source.host_);
    const bool gone = source.incarnation_ != receiver_->source_incarnation || !source.senders_.contains(name_);
    if (wanted != receiver_->host || (linked && gone) || now - receiver_->heard > kLinkTimeout) {
      DisconnectReceiver();
    } else if (linked && !source.frozen_) {
      Receive();
    }
    return;
  }
  if (!wanted.empty() && now >= reconnect_at_ && replayed_ == disk_.wal.size()) Connect(wanted);
}

void MemoryPostgres::Connect(const std::string& host) {
  reconnect_at_ = world_.clock.Now() + kReconnect;
  auto at = world_.servers.find(host);
  if (at == world_.servers.end() || at->second == this) return;
  MemoryPostgres& source = *at->second;
  if (!source.Accepting() || source.frozen_ || !world_.network.PassesBoth(host_, source.host_)) return;
  if (!MayStream(disk_.wal, source.disk_.wal, source.disk_.flushed)) return;
  const Record* last = disk_.wal.last();
  if (!source.disk_.wal.Holds(disk_.wal.size(), last->id)) {
    world_.trace.Violate("{} goes on streaming from {} at {}, though its WAL there is another one", name_, host,
                         disk_.wal.size());
  }
  receiver_ = Receiver{.source = &source,
                       .source_incarnation = source.incarnation_,
                       .host = host,
                       .heard = world_.clock.Now(),
                       .received = false,
                       .wrote = false};
  // A fresh receiver asks from the start of its segment.
  received_ = disk_.wal.size() - disk_.wal.size() % kSegment;
  source.senders_[name_] = WalSender{.incarnation = incarnation_,
                                     .list = SyncList::Parse(source.session_.value.sync_names),
                                     .reload_due = source.session_.due,
                                     .flushed = 0,
                                     .heard = world_.clock.Now()};
  world_.trace.Note("{} streams from {} at {}", name_, host, disk_.wal.size());
}

void MemoryPostgres::Receive() {
  MemoryPostgres& source = *receiver_->source;
  const TimePoint now = world_.clock.Now();
  if (world_.random.Below(3) == 0) return;  // on the way
  const std::size_t end = std::min(source.disk_.flushed, disk_.wal.size() + kMostRecordsPerStep);
  const bool news = disk_.wal.size() < end;
  while (disk_.wal.size() < end) disk_.wal.Append(&source.disk_.wal[disk_.wal.size()]);
  if (news || now - receiver_->heard > kKeepalive || !receiver_->received) {
    receiver_->heard = now;
    receiver_->received = true;
    last_message_ = world_.clock.WallNow();
  }
  receiver_->wrote = receiver_->wrote || news;
  if (receiver_->wrote && !disk_hung_) received_ = disk_.flushed;
  source.OnReply(name_, disk_.flushed);
}

// As a walsender does: by the list that it has read itself.
void MemoryPostgres::OnReply(const std::string& standby, std::size_t flushed) {
  auto at = senders_.find(standby);
  if (at == senders_.end()) return;
  at->second.flushed = flushed;
  at->second.heard = world_.clock.Now();
  const SyncList& list = at->second.list;
  if (in_recovery_ || !list.names.contains(standby)) return;
  std::vector<std::size_t> held;
  for (const auto& [name, sender] : senders_) {
    if (sender.list.names.contains(name)) held.push_back(sender.flushed);
  }
  const auto required = static_cast<std::size_t>(list.required);
  if (required == 0 || held.size() < required) return;
  std::ranges::sort(held, std::greater());
  Settle(held[required - 1]);
}

void MemoryPostgres::Settle(std::size_t released) {
  for (auto it = commits_.begin(); it != commits_.end();) {
    Commit& commit = **it;
    if (commit.length > released) {
      ++it;
      continue;
    }
    commit.state = Commit::State::kReleased;
    commit.changed.Set();
    it = commits_.erase(it);
  }
}

bool MemoryPostgres::KeepsUpWith(const MemoryPostgres& source) const {
  return running_ && receiver_ && receiver_->source == &source && disk_.wal.size() == source.wal().size() &&
         disk_.wal.last() == source.wal().last();
}

}  // namespace multigres::sim
