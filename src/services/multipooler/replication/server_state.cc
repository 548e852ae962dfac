#include "services/multipooler/replication/server_state.h"

#include <charconv>
#include <sstream>

namespace multigres::pooler::replication {

namespace {

// CASE keeps functions of the other mode from running. pg_walfile_name()'s first 8 digits are the timeline.
constexpr std::string_view kStateQuery = R"(
SELECT r.rec,
       CASE WHEN NOT r.rec THEN pg_current_wal_lsn()::text END,
       CASE WHEN r.rec THEN pg_last_wal_receive_lsn()::text END,
       CASE WHEN r.rec THEN pg_last_wal_replay_lsn()::text END,
       CASE WHEN NOT r.rec THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
            ELSE coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                          (SELECT min_recovery_end_timeline FROM pg_control_recovery()), 0) END,
       (SELECT timeline_id FROM pg_control_checkpoint()),
       (SELECT system_identifier FROM pg_control_system()),
       current_setting('primary_conninfo'),
       current_setting('restore_command'),
       current_setting('synchronous_standby_names'),
       current_setting('synchronous_commit'),
       current_setting('max_wal_senders'),
       CASE WHEN r.rec THEN pg_is_wal_replay_paused() ELSE false END,
       CASE WHEN r.rec THEN pg_get_wal_replay_pause_state() ELSE '' END,
       coalesce(pg_last_xact_replay_timestamp()::text, ''),
       coalesce((SELECT status FROM pg_stat_wal_receiver), ''),
       (SELECT (extract(epoch FROM last_msg_receipt_time) * 1000000)::bigint FROM pg_stat_wal_receiver),
       (SELECT setting FROM pg_settings WHERE name = 'wal_receiver_status_interval'),
       (SELECT setting FROM pg_settings WHERE name = 'wal_receiver_timeout'),
       coalesce((SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'), ''),
       coalesce((SELECT string_agg(s.application_name, ',') FROM pg_stat_replication s
                 JOIN pg_stat_activity a USING (pid) WHERE a.datname IS NULL), '')
FROM (SELECT pg_is_in_recovery() AS rec) r)";

using Row = std::vector<std::optional<std::string>>;

template <class Number>
Number ToNumber(const std::optional<std::string>& text) {
  Number number{};
  if (text) std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

std::optional<Lsn> ToLsn(const std::optional<std::string>& text) {
  return text ? ::multigres::consensus::LsnOrLowest(*text) : std::nullopt;
}

ServerState FromRow(const Row& row) {
  ServerState state;
  const auto text = [&row](std::size_t column) { return row[column].value_or(""); };
  state.in_recovery = text(0) == "t";
  state.receive_lsn = ToLsn(row[2]);
  state.replay_lsn = ToLsn(row[3]);
  state.lsn = state.in_recovery ? std::max(state.receive_lsn, state.replay_lsn) : ToLsn(row[1]);
  state.timeline = ToNumber<std::uint32_t>(row[4]);
  state.checkpoint_timeline = ToNumber<std::uint32_t>(row[5]);
  // A standby that has received nothing yet stands where its last (restart) checkpoint was made, or further.
  if (state.in_recovery) state.timeline = std::max(state.timeline, state.checkpoint_timeline);
  state.system_identifier = text(6);
  state.primary_conninfo = text(7);
  state.restore_command = text(8);
  state.synchronous_standby_names = text(9);
  state.synchronous_commit = text(10);
  state.max_wal_senders = ToNumber<int>(row[11]);
  state.replay_paused = text(12) == "t";
  state.replay_pause_state = text(13);
  state.last_xact_replay_timestamp = text(14);
  state.receiver_status = text(15);
  if (row[16]) state.receiver_last_message_unix_us = ToNumber<std::int64_t>(row[16]);
  state.receiver_status_interval_s = ToNumber<std::int64_t>(row[17]);
  state.receiver_timeout_ms = ToNumber<std::int64_t>(row[18]);
  state.startup_wait_event = text(19);
  std::istringstream names(text(20));
  for (std::string name; std::getline(names, name, ',');) state.connected_followers.push_back(name);
  return state;
}

}  // namespace

Awaitable<Result<ServerState>> ReadServerState(AdminSessions& sessions, Deadline deadline) {
  const Deadline bound = deadline.Earlier(sessions.clock().After(std::chrono::seconds(2)));
  auto result = co_await sessions.Query(std::string(kStateQuery), bound);
  if (!result) co_return std::unexpected(std::move(result.error()));
  if (result->rows.size() != 1) co_return Fail(Code::kInternal, "server state: no row");
  co_return FromRow(result->rows[0]);
}

Awaitable<Result<std::vector<Follower>>> ReadFollowers(AdminSessions& sessions, Deadline deadline) {
  // A logical walsender has a database; physical ones have none.
  auto result = co_await sessions.Query(
      "SELECT s.application_name, s.state, s.flush_lsn::text, s.sync_priority FROM pg_stat_replication s "
      "JOIN pg_stat_activity a USING (pid) WHERE a.datname IS NULL",
      deadline);
  if (!result) co_return std::unexpected(std::move(result.error()));
  std::vector<Follower> followers;
  for (const Row& row : result->rows) {
    followers.push_back({.application_name = row[0].value_or(""),
                         .state = row[1].value_or(""),
                         .flush_lsn = ToLsn(row[2]),
                         .sync_priority = ToNumber<int>(row[3])});
  }
  co_return followers;
}

}  // namespace multigres::pooler::replication
