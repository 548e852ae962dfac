// What a pooler should do about its PostgreSQL, decided from what it sees: pure, so that every case is a line of a
// test.
#pragma once

#include <cstdint>
#include <string_view>

namespace multigres::pooler::manager {

// What one look showed. "Unknown" never becomes an action: a probe that failed sets `conclusive` to false.
struct MonitorView {
  bool conclusive = true;
  bool restarts_enabled = true;

  bool initialized = false;    // PGDATA is complete
  bool process_alive = false;  // a postmaster runs
  bool answering = false;      // and answers queries
  bool bootstrap_interrupted = false;
  bool rewind_interrupted = false;

  bool in_recovery = true;
  bool leads_by_rule = false;    // the highest rule known names this member
  bool writable_leader = false;  // and it serves as PRIMARY
  bool could_readmit = false;    // leads, and only the confirmation after a restart of this process is missing
  bool demotion_requested = false;
  bool suspected_divergence = false;
  bool can_rejoin = false;  // the recorded leader is rewind-ready, and no promise forbids it
  bool rejoin_backoff_over = true;

  bool self_healing = true;       // StopReplication switches it off
  bool should_follow = false;     // a leader is recorded, it isn't this member, no promise forbids it
  bool conninfo_differs = false;  // from the recorded leader's
  bool led_last = false;          // the highest rule in its own WAL names this member: WAL of its own may lie above
  bool restore_command_set = false;
  bool cut_off = false;  // right conninfo, not streaming for 10 s, and the leader writes and is reachable

  bool sync_standbys_differ = false;  // from the rule's
  bool checkpointed_as_primary = false;
  bool rewind_ready = false;
};

enum class MonitorAction : std::uint8_t {
  kNone,
  kBootstrap,        // no data directory, or an interrupted attempt at one
  kStartAsStandby,   // the server is down
  kFlagDivergence,   // an interrupted rewind, a server out of recovery that doesn't lead, a former leader that doesn't
                     // follow yet, or a follower that is cut off
  kRejoin,           // pg_rewind if needed, restart under the leader
  kRequestDemotion,  // a leader that came back in recovery: never promotes itself
  kReadmit,
  kRepairConninfo,  // also drops restore_command
  kRepairSyncStandbys,
  kMarkRewindReady,
};

MonitorAction DecideMonitorAction(const MonitorView& view);

// Does a follower get its leader's WAL? The receiver of one that has diverged says "streaming", too, for a moment at a
// time and for ever, from the timeline that it would have to leave. A term's leader writes on timeline term + 1.
bool GetsWalOf(std::int64_t leader_term, std::string_view receiver_status, std::uint32_t receiver_timeline);

std::string_view ActionName(MonitorAction action);

}  // namespace multigres::pooler::manager
