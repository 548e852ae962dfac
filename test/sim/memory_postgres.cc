#include "test/sim/memory_postgres.h"

#include "common/consensus/durability.h"
#include "common/consensus/safety.h"

namespace multigres::sim {

using ::multigres::consensus::SafetyRule;
using pooler::replication::Follower;
using pooler::replication::ServerState;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::size_t kRedo = 24;  // records since the last restart point

std::string DefaultSyncNames() {
  return ::multigres::consensus::Enforced(SafetyRule::kFence) ? ::multigres::consensus::Fence().Text() : "";
}

}  // namespace

SyncList SyncList::Parse(const std::string& text) {
  SyncList list;
  if (!text.starts_with("ANY ")) return list;
  list.required = std::atoi(text.c_str() + 4);
  for (std::size_t at = text.find('"'); at != std::string::npos;) {
    const auto end = text.find('"', at + 1);
    if (end == std::string::npos) break;
    list.names.insert(text.substr(at + 1, end - at - 1));
    at = text.find('"', end + 1);
  }
  return list;
}

::multigres::consensus::MemberSet PostgresWorld::Holders(std::size_t length, std::uint64_t id) const {
  ::multigres::consensus::MemberSet holders;
  for (const auto& [name, server] : servers) {
    if (server->disk().flushed >= length && server->wal().Holds(length, id)) holders.Insert(name);
  }
  return holders;
}

MemoryPostgres::MemoryPostgres(PostgresWorld& world, std::string name, int host)
    : world_(world), name_(std::move(name)), host_(host) {
  world_.servers[name_] = this;
}

MemoryPostgres::~MemoryPostgres() {
  world_.servers.erase(name_);
}

// --- the data directory

void MemoryPostgres::Initialize(std::string system_identifier) {
  if (!host_up_) return;
  disk_ = Disk{};
  disk_.initialized = true;
  disk_.system_identifier = std::move(system_identifier);
  disk_.wal.Append(world_.ledger.Make(Record::Kind::kSeed, 1, nullptr));
  disk_.flushed = 1;
  disk_.checkpoint_timeline = 1;
}

void MemoryPostgres::CopyFrom(const MemoryPostgres& source) {
  disk_ = source.disk_;
  disk_.wal.Truncate(source.disk_.flushed);
  disk_.flushed = disk_.wal.size();
  disk_.consistent_from = disk_.wal.size();
  disk_.standby_signal = true;
  disk_.clean = true;
  disk_.half_rewound = false;
  for (const char* name : {"primary_conninfo", "restore_command", "synchronous_standby_names"}) {
    disk_.auto_conf.erase(name);
  }
}

void MemoryPostgres::RewindTo(const MemoryPostgres& source) {
  if (!host_up_) return;
  disk_.wal = source.disk_.wal;
  disk_.wal.Truncate(source.disk_.flushed);
  disk_.flushed = disk_.wal.size();
  disk_.consistent_from = disk_.wal.size();
  disk_.checkpoint_timeline = source.disk_.checkpoint_timeline;
  disk_.auto_conf = source.disk_.auto_conf;
  disk_.mark = source.disk_.mark;
  disk_.standby_signal = true;
  disk_.half_rewound = false;
}

void MemoryPostgres::CloseAfterCrash() {
  if (disk_.clean || !host_up_) return;
  disk_.clean = true;
  if (disk_.crashed_in_recovery) return;
  world_.trace.Note("{} recovers in single-user mode", name_);
  disk_.wal.Append(world_.ledger.Make(Record::Kind::kCheckpoint, disk_.wal.timeline(), disk_.wal.last()));
  disk_.flushed = disk_.wal.size();
  disk_.checkpoint_timeline = disk_.wal.timeline();
}

MemoryPostgres::Settings MemoryPostgres::FromFiles() const {
  const auto value = [this](const char* name, std::string otherwise) {
    auto at = disk_.auto_conf.find(name);
    return at == disk_.auto_conf.end() ? otherwise : at->second;
  };
  return {.conninfo = value("primary_conninfo", ""),
          .restore_command = value("restore_command", ""),
          .sync_names = value("synchronous_standby_names", DefaultSyncNames())};
}

// --- the process

Duration MemoryPostgres::UpTo(Duration most) const {
  return Duration(world_.random.Between(0, most.count()));
}

bool MemoryPostgres::Accepting() const {
  if (!running_ || stopping_ || world_.clock.Now() < ready_at_) return false;
  return !in_recovery_ || replayed_ >= disk_.consistent_from;
}

void MemoryPostgres::Start(bool as_primary) {
  if (!host_up_) return;
  if (disk_.half_rewound) world_.trace.Violate("{} is started in the middle of a rewind", name_);
  if (as_primary && !RulesInWal().decision().cohort_members().empty()) {
    world_.trace.Violate("{} is started writable", name_);
  }
  ++incarnation_;
  running_ = true;
  stopping_ = false;
  frozen_ = false;
  disk_.standby_signal = !as_primary;
  disk_.clean = false;
  ready_at_ = world_.clock.Now() + milliseconds(world_.random.Between(30, 300));
  const std::size_t size = disk_.wal.size();
  disk_.flushed = size;
  // What was a primary recovers all of its own WAL before it is anything else, with standby.signal, too: it starts from
  // its shutdown checkpoint, or by crash recovery.
  replayed_ = size;
  if (disk_.crashed_in_recovery) replayed_ = size > kRedo ? size - kRedo : std::min<std::size_t>(size, 1);
  in_recovery_ = disk_.crashed_in_recovery = !as_primary;
  session_ = startup_ = checkpointer_ = {.value = FromFiles(), .due = {}};
  received_.reset();
  receiver_.reset();
  promotion_.reset();
  replay_paused_ = false;
  reconnect_at_ = ready_at_;
  world_.trace.Note("{} postgres starts as {}", name_, as_primary ? "primary" : "standby");
}

// Of the process, however it came.
void MemoryPostgres::End() {
  ++incarnation_;
  running_ = stopping_ = frozen_ = false;
  promotion_.reset();
  receiver_.reset();
  senders_.clear();
  for (auto& commit : std::exchange(commits_, {})) {
    commit->state = Commit::State::kLost;
    commit->changed.Set();
  }
}

void MemoryPostgres::Kill() {
  if (!running_) return;
  world_.trace.Note("{} postgres is killed", name_);
  End();
  if (!in_recovery_) disk_.wal.Truncate(disk_.flushed);
  disk_.flushed = disk_.wal.size();
}

void MemoryPostgres::LosePower() {
  End();
  disk_.wal.Truncate(disk_.flushed);
}

void MemoryPostgres::BeginStop() {
  if (!running_ || stopping_) return;
  world_.trace.Note("{} postgres stops", name_);
  stopping_ = true;
  for (auto& commit : std::exchange(commits_, {})) {
    commit->state = Commit::State::kCancelled;
    commit->changed.Set();
  }
  if (in_recovery_) {
    // A restart point at the last checkpoint replayed.
    for (std::size_t at = replayed_; at > 0; --at) {
      if (disk_.wal[at - 1].kind != Record::Kind::kCheckpoint) continue;
      disk_.checkpoint_timeline = std::max(disk_.checkpoint_timeline, disk_.wal[at - 1].timeline);
      break;
    }
  } else {
    Checkpoint();
  }
}

void MemoryPostgres::PumpStop() {
  if (!stopping_) return;
  const auto behind = [this](const auto& sender) { return sender.second.flushed < disk_.wal.size(); };
  if (!in_recovery_ && std::ranges::any_of(senders_, behind)) return;
  // Its minimum recovery point.
  if (in_recovery_) disk_.consistent_from = std::max(disk_.consistent_from, replayed_);
  End();
  disk_.clean = true;
  disk_.flushed = disk_.wal.size();
  world_.trace.Note("{} postgres has stopped at {}", name_, disk_.wal.size());
}

void MemoryPostgres::Checkpoint() {
  disk_.wal.Append(world_.ledger.Make(Record::Kind::kCheckpoint, disk_.wal.timeline(), disk_.wal.last()));
  disk_.flushed = disk_.wal.size();
  disk_.checkpoint_timeline = disk_.wal.timeline();
}

void MemoryPostgres::PromoteTo(std::uint32_t timeline) {
  promotion_ = {.due = world_.clock.Now() + milliseconds(world_.random.Between(10, 120)), .timeline = timeline};
}

void MemoryPostgres::PumpPromotion() {
  if (!promotion_ || world_.clock.Now() < promotion_->due) return;
  DisconnectReceiver();
  if (receiver_ || replayed_ < disk_.wal.size()) return;
  const std::uint32_t timeline = promotion_->timeline;
  promotion_.reset();
  disk_.wal.Append(world_.ledger.Make(Record::Kind::kPromotion, timeline, disk_.wal.last()));
  disk_.flushed = replayed_ = disk_.wal.size();
  disk_.standby_signal = false;
  in_recovery_ = disk_.crashed_in_recovery = false;
  world_.trace.Note("{} is out of recovery on timeline {} at {}", name_, timeline, disk_.wal.size());
}

void MemoryPostgres::Pump() {
  if (!running_ || frozen_) return;
  PumpReloads();
  std::erase_if(senders_, [&](const auto& sender) { return world_.clock.Now() - sender.second.heard > kLinkTimeout; });
  if (world_.clock.Now() < ready_at_) return;
  if (!disk_hung_) disk_.flushed = disk_.wal.size();
  PumpStop();
  if (!running_ || !in_recovery_) return;
  PumpReplay();
  PumpReloads();
  PumpPromotion();
  if (in_recovery_ && !promotion_) PumpReceiver();
}

void MemoryPostgres::PumpReloads() {
  const TimePoint now = world_.clock.Now();
  for (SettingsView* view : {&session_, &startup_, &checkpointer_}) {
    // The startup process looks before each record: late only while one keeps it busy.
    const bool idle = view == &startup_ && !session_.due && replayed_ == disk_.wal.size();
    if (!view->due || (*view->due > now && !idle)) continue;
    view->due.reset();
    view->value = FromFiles();
    if (view != &checkpointer_ || !view->value.sync_names.empty()) continue;
    Settle(disk_.wal.size());  // nobody is waited for any more
  }
  for (auto& [standby, sender] : senders_) {
    if (!sender.reload_due || *sender.reload_due > now) continue;
    sender.reload_due.reset();
    sender.list = SyncList::Parse(FromFiles().sync_names);
  }
}

void MemoryPostgres::PumpReplay() {
  if (replay_paused_) return;
  const std::size_t most = replay_slow_ ? world_.random.Below(2) : kMostRecordsPerStep;
  replayed_ = std::min(disk_.wal.size(), replayed_ + most);
}

// --- sessions

ServerState MemoryPostgres::State(WallTime now) const {
  ServerState state;
  state.in_recovery = in_recovery_;
  if (in_recovery_) {
    if (received_) state.receive_lsn = LsnAt(*received_);
    state.replay_lsn = LsnAt(replayed_);
    state.lsn = std::max(state.receive_lsn, state.replay_lsn);
    if (!::multigres::consensus::Enforced(SafetyRule::kGreatestLsn) && state.receive_lsn) state.lsn = state.receive_lsn;
    state.startup_wait_event = replayed_ < disk_.wal.size() ? ""
                               : receiver_                  ? "RecoveryWalStream"
                                                            : "RecoveryRetrieveRetryInterval";
    state.last_xact_replay_timestamp = "";
    state.replay_paused = replay_paused_;
    state.replay_pause_state = replay_paused_ ? "paused" : "not paused";
  } else {
    state.lsn = LsnAt(disk_.wal.size());
  }
  state.timeline = disk_.wal.timeline();
  state.checkpoint_timeline = disk_.checkpoint_timeline;
  state.system_identifier = disk_.system_identifier;
  state.primary_conninfo = session_.value.conninfo;
  state.restore_command = session_.value.restore_command;
  state.synchronous_standby_names = session_.value.sync_names;
  state.synchronous_commit = "on";
  state.max_wal_senders = 10;
  if (receiver_) {
    state.receiver_status = "streaming";
    // By the asker's clock.
    state.receiver_last_message_unix_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                              (now - (world_.clock.WallNow() - last_message_)).time_since_epoch())
                                              .count();
  }
  state.receiver_status_interval_s = 1;
  state.receiver_timeout_ms = std::chrono::duration_cast<milliseconds>(kLinkTimeout).count();
  for (const auto& [name, sender] : senders_) state.connected_followers.push_back(name);
  return state;
}

std::vector<Follower> MemoryPostgres::Followers() const {
  std::vector<Follower> followers;
  followers.reserve(senders_.size());
  for (const auto& [name, sender] : senders_) {
    followers.push_back({.application_name = name,
                         .state = "streaming",
                         .flush_lsn = LsnAt(sender.flushed),
                         .sync_priority = sender.list.names.contains(name) ? 1 : 0});
  }
  return followers;
}

void MemoryPostgres::ChangeSetting(const std::string& name, const std::string& value) {
  disk_.auto_conf[name] = value;
  if (name == "synchronous_standby_names") world_.trace.Note("{} waits for {}", name_, value);
  const TimePoint now = world_.clock.Now();
  session_.due = now + UpTo(milliseconds(10));
  startup_.due = now + UpTo(reload_lag_);
  // It reads its settings between the files that it syncs.
  checkpointer_.due = now + UpTo(reload_lag_ * 8);
  for (auto& [standby, sender] : senders_) sender.reload_due = now + UpTo(reload_lag_);
}

std::string MemoryPostgres::Setting(const std::string& name) const {
  if (name == "primary_conninfo") return session_.value.conninfo;
  if (name == "restore_command") return session_.value.restore_command;
  if (name == "synchronous_standby_names") return session_.value.sync_names;
  return "on";
}

std::shared_ptr<MemoryPostgres::Commit> MemoryPostgres::Append(const Record* record, bool synchronous) {
  disk_.wal.Append(record);
  if (!disk_hung_) disk_.flushed = disk_.wal.size();
  auto commit = std::make_shared<Commit>();
  commit->record = record;
  commit->length = disk_.wal.size();
  commit->changes_rule = record->kind == Record::Kind::kProposal || record->kind == Record::Kind::kDecision ||
                         record->kind == Record::Kind::kConfirmation;
  // The checkpointer's word decides whether anybody waits.
  if (synchronous && !checkpointer_.value.sync_names.empty()) {
    commits_.push_back(commit);
  } else {
    commit->state = Commit::State::kReleased;
    commit->changed.Set();
  }
  return commit;
}

void MemoryPostgres::Cancel(Commit& commit) {
  if (commit.state != Commit::State::kWaiting) return;
  commit.state = Commit::State::kCancelled;
  commit.changed.Set();
  commits_.remove_if([&commit](const auto& other) { return other.get() == &commit; });
}

void MemoryPostgres::CancelWaits() {
  if (frozen_) return;
  while (!commits_.empty()) Cancel(*std::shared_ptr<Commit>(commits_.front()));
}

bool MemoryPostgres::RuleLocked() const {
  return std::ranges::any_of(commits_, [](const auto& commit) { return commit->changes_rule; });
}

Rules MemoryPostgres::VisibleRules() const {
  std::size_t length = in_recovery_ ? replayed_ : disk_.wal.size();
  for (const auto& commit : commits_) {
    if (commit->changes_rule) length = std::min(length, commit->length - 1);
  }
  return length == 0 ? nullptr : disk_.wal[length - 1].rules;
}

const ::clustermetadata::RulePosition& MemoryPostgres::RulesInWal() const {
  static const ::clustermetadata::RulePosition kNone;
  const Record* last = disk_.wal.last();
  return last == nullptr || last->rules == nullptr ? kNone : *last->rules;
}

std::int64_t MemoryPostgres::VisibleHeartbeat() const {
  const std::size_t length = in_recovery_ ? replayed_ : disk_.wal.size();
  return length == 0 ? 0 : disk_.wal[length - 1].heartbeat_ns;
}

}  // namespace multigres::sim
