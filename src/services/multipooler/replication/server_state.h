// What PostgreSQL says about its recovery, its WAL and its replication.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/consensus/lsn.h"

namespace multigres::pooler::replication {

using ::multigres::consensus::Lsn;

struct ServerState {
  bool in_recovery = true;
  // Primary: pg_current_wal_lsn(). Standby: the greater of received and replayed; a fresh receiver may report a segment
  // start behind replay.
  std::optional<Lsn> lsn;
  std::optional<Lsn> receive_lsn;
  std::optional<Lsn> replay_lsn;
  std::uint32_t timeline = 0;             // of the WAL being written, or last replayed or received
  std::uint32_t checkpoint_timeline = 0;  // of the last checkpoint
  std::string system_identifier;
  std::string primary_conninfo;
  std::string restore_command;
  std::string synchronous_standby_names;
  std::string synchronous_commit;
  int max_wal_senders = 0;
  bool replay_paused = false;
  std::string replay_pause_state;
  std::string last_xact_replay_timestamp;
  std::string receiver_status;  // "" = no WAL receiver
  std::optional<std::int64_t> receiver_last_message_unix_us;
  std::int64_t receiver_status_interval_s = 0;
  std::int64_t receiver_timeout_ms = 0;
  std::string startup_wait_event;
  std::vector<std::string> connected_followers;  // application names of physical walsenders
  // Replication sessions of clients that counted as synchronous standbys, by a member's application_name: they would
  // acknowledge what no member holds. The look has ended them.
  int impostors_ended = 0;
};

// Physical walsenders as a primary sees them.
struct Follower {
  std::string application_name;
  std::string state;
  std::optional<Lsn> flush_lsn;
  int sync_priority = 0;
};

}  // namespace multigres::pooler::replication
