// A PostgreSQL in memory: one data directory with the server over it, as far as replication and consensus can tell it
// from a real one. It streams by timeline and position, arms its list of synchronous standbys when its checkpointer
// gets around to it, loses unflushed WAL in a crash, and stands still when frozen.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "common/consensus/member.h"
#include "services/multipooler/replication/server_state.h"
#include "test/sim/network.h"
#include "test/sim/trace.h"
#include "test/sim/wal.h"
#include "tools/async/event.h"

namespace multigres::sim {

class MemoryPostgres;

// What all servers of a run share.
struct PostgresWorld {
  Clock& clock;
  Random& random;
  Network& network;
  Ledger& ledger;
  Trace& trace;
  std::map<std::string, MemoryPostgres*> servers;  // by host name
  // Whose disks hold the first `length` records up to the one of this id.
  ::multigres::consensus::MemberSet Holders(std::size_t length, std::uint64_t id) const;
};

// synchronous_standby_names, read.
struct SyncList {
  int required = 0;
  std::set<std::string> names;
  static SyncList Parse(const std::string& text);
};

class MemoryPostgres {
 public:
  MemoryPostgres(PostgresWorld& world, std::string name, int host);
  ~MemoryPostgres();
  MemoryPostgres(const MemoryPostgres&) = delete;
  MemoryPostgres& operator=(const MemoryPostgres&) = delete;

  const std::string& name() const { return name_; }
  int host() const { return host_; }

  // --- the data directory
  struct Disk {
    bool initialized = false;
    std::string system_identifier;
    Wal wal;
    std::size_t flushed = 0;
    std::map<std::string, std::string> auto_conf;
    bool standby_signal = false;
    bool clean = true;
    bool crashed_in_recovery = false;  // "in archive recovery", of the last process, if not clean
    std::uint32_t checkpoint_timeline = 0;
    std::size_t consistent_from = 0;  // not to be served before this much is replayed
    bool half_rewound = false;
    std::string mark;  // replication::DataDirectory
  };
  Disk& disk() { return disk_; }
  const Disk& disk() const { return disk_; }
  const Wal& wal() const { return disk_.wal; }
  // After the last record, seen by sessions or not; empty before the bootstrap.
  const ::clustermetadata::RulePosition& RulesInWal() const;
  void Initialize(std::string system_identifier);
  // As pg_basebackup leaves it.
  void CopyFrom(const MemoryPostgres& source);
  // As pg_rewind leaves it.
  void RewindTo(const MemoryPostgres& source);
  // What pgctld does to a directory that wasn't shut down: a standby's is closed, a primary's recovered in single-user
  // mode, which ends with a checkpoint of its own.
  void CloseAfterCrash();

  // --- the process
  bool running() const { return running_; }
  bool frozen() const { return frozen_; }
  bool in_recovery() const { return in_recovery_; }
  bool Accepting() const;
  std::uint64_t incarnation() const { return incarnation_; }
  void Start(bool as_primary);
  // Fast: sessions end, a primary writes its last checkpoint and waits for its followers. Over when running() is false.
  void BeginStop();
  bool stopping() const { return stopping_; }
  void Kill();
  // The host goes down: what isn't flushed is lost.
  void LosePower();
  void SetFrozen(bool frozen) { frozen_ = frozen; }
  // While it is down nothing starts or changes, whoever is still at it.
  void SetHostUp(bool up) { host_up_ = up; }
  bool host_up() const { return host_up_; }
  // Flushes are held up: a standby that receives and doesn't acknowledge.
  void SetDiskHung(bool hung) { disk_hung_ = hung; }
  void SetReplaySlow(bool slow) { replay_slow_ = slow; }
  void SetReplayPaused(bool paused) { replay_paused_ = paused; }
  // How long processes may take to read changed settings; the checkpointer the longest.
  void SetReloadLag(Duration lag) { reload_lag_ = lag; }
  void PromoteTo(std::uint32_t timeline);
  bool promoting() const { return promotion_.has_value(); }
  void Checkpoint();
  // Everything that happens by itself; call it every step.
  void Pump();

  // --- what sessions see and do
  pooler::replication::ServerState State(WallTime now) const;
  std::vector<pooler::replication::Follower> Followers() const;
  void ChangeSetting(const std::string& name, const std::string& value);
  std::string Setting(const std::string& name) const;

  // A commit in its wait for synchronous standbys.
  struct Commit {
    enum class State : std::uint8_t {
      kWaiting,
      kReleased,   // acknowledged, or there was nothing to wait for
      kCancelled,  // visible, unacknowledged
      kLost,       // the server went
    };
    const Record* record = nullptr;
    std::size_t length = 0;
    bool changes_rule = false;
    State state = State::kWaiting;
    Event changed;
  };
  std::shared_ptr<Commit> Append(const Record* record, bool synchronous);
  // The session is terminated or its statement cancelled.
  void Cancel(Commit& commit);
  // All sessions that wait, by pg_cancel_backend.
  void CancelWaits();
  // The rule row is locked by a commit that waits.
  bool RuleLocked() const;
  // Of what is visible here; null before the bootstrap.
  Rules VisibleRules() const;
  std::int64_t VisibleHeartbeat() const;
  std::size_t replayed() const { return replayed_; }
  // Whom it streams from, null if from nobody.
  const MemoryPostgres* source() const { return receiver_ ? receiver_->source : nullptr; }
  // Streams from `source`, and has all of it.
  bool KeepsUpWith(const MemoryPostgres& source) const;

 private:
  static constexpr Duration kLinkTimeout = std::chrono::seconds(8);  // wal_sender_timeout, wal_receiver_timeout
  static constexpr std::size_t kMostRecordsPerStep = 64;             // sent, or replayed
  struct Settings {
    std::string conninfo;
    std::string restore_command;
    std::string sync_names;
  };
  // What one kind of process has read so far, and when it reads again.
  struct SettingsView {
    Settings value;
    std::optional<TimePoint> due;
  };
  struct WalSender {
    std::uint64_t incarnation = 0;  // of the standby's receiver
    SyncList list;
    std::optional<TimePoint> reload_due;
    std::size_t flushed = 0;
    TimePoint heard;
  };
  struct Receiver {
    MemoryPostgres* source = nullptr;
    std::uint64_t source_incarnation = 0;
    std::string host;
    TimePoint heard;
    bool received = false;  // anything
    bool wrote = false;     // WAL
  };

  Settings FromFiles() const;
  Duration UpTo(Duration most) const;
  void End();
  void Settle(std::size_t released);
  void PumpReloads();
  void PumpStop();
  void PumpPromotion();
  void PumpReceiver();
  void PumpReplay();
  void Connect(const std::string& host);
  void DisconnectReceiver();
  void Receive();
  void OnReply(const std::string& standby, std::size_t flushed);

  PostgresWorld& world_;
  const std::string name_;
  const int host_;
  Disk disk_;

  bool host_up_ = true;
  bool running_ = false;
  bool frozen_ = false;
  bool stopping_ = false;
  bool in_recovery_ = true;
  bool disk_hung_ = false;
  bool replay_slow_ = false;
  bool replay_paused_ = false;
  Duration reload_lag_ = std::chrono::milliseconds(20);
  std::uint64_t incarnation_ = 0;
  TimePoint ready_at_;
  std::size_t replayed_ = 0;
  SettingsView session_;
  SettingsView startup_;
  SettingsView checkpointer_;
  std::map<std::string, WalSender> senders_;
  std::optional<Receiver> receiver_;
  std::optional<std::size_t> received_;  // pg_last_wal_receive_lsn(); empty since the start
  WallTime last_message_;
  TimePoint reconnect_at_;
  struct Promotion {
    TimePoint due;
    std::uint32_t timeline;
  };
  std::optional<Promotion> promotion_;
  std::list<std::shared_ptr<Commit>> commits_;
};

}  // namespace multigres::sim
