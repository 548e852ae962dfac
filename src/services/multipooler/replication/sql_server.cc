#include "services/multipooler/replication/sql_server.h"

#include <charconv>
#include <sstream>

#include "services/multipooler/replication/promotion.h"
#include "tools/async/event.h"

namespace multigres::pooler::replication {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kReloadTimeout = seconds(5);
constexpr Duration kReloadPoll = milliseconds(2);
constexpr Duration kPromotionPoll = milliseconds(2);
constexpr Duration kReloadPause = milliseconds(100);

// CASE keeps functions of the other mode from running. pg_walfile_name()'s first 8 digits are the timeline. Views that
// read every setting or every session cost more than all the rest, and this is asked five times a second: hence
// current_setting() and the functions below pg_stat_replication. A physical walsender has no database.
constexpr std::string_view kPrepareState = R"(
PREPARE multigres_state AS
SELECT r.rec,
       CASE WHEN NOT r.rec THEN pg_current_wal_lsn()::text END,
       CASE WHEN r.rec THEN pg_last_wal_receive_lsn()::text END,
       CASE WHEN r.rec THEN pg_last_wal_replay_lsn()::text END,
       CASE WHEN NOT r.rec THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
            ELSE coalesce(w.received_tli, (SELECT min_recovery_end_timeline FROM pg_control_recovery()), 0) END,
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
       coalesce(w.status, ''),
       (extract(epoch FROM w.last_msg_receipt_time) * 1000000)::bigint,
       extract(epoch FROM current_setting('wal_receiver_status_interval')::interval)::bigint,
       (extract(epoch FROM current_setting('wal_receiver_timeout')::interval) * 1000)::bigint,
       CASE WHEN r.rec THEN (SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup') END,
       f.names,
       f.impostors
FROM (SELECT pg_is_in_recovery() AS rec) r
LEFT JOIN pg_stat_wal_receiver w ON true
LEFT JOIN LATERAL (
  SELECT string_agg(a.application_name, ',') FILTER (WHERE a.datid IS NULL) AS names,
         count(*) FILTER (WHERE CASE WHEN s.sync_priority > 0 AND
                                          (a.datid IS NOT NULL OR a.usesysid <> quote_ident(current_user)::regrole::oid)
                                     THEN pg_terminate_backend(s.pid) END) AS impostors
  FROM pg_stat_get_wal_senders() s, pg_stat_get_activity(s.pid) a) f ON true)";
constexpr std::string_view kExecuteState = "EXECUTE multigres_state";

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
  state.impostors_ended = ToNumber<int>(row[21]);
  return state;
}

}  // namespace

SqlServer::SqlServer(AdminSessions& sessions, std::string data_dir)
    : Server(sessions.clock()), sessions_(sessions), data_dir_(std::move(data_dir)) {
  sessions_.BeginWith(std::string(kPrepareState));
}

Awaitable<Result<ServerState>> SqlServer::ReadState(Deadline deadline) {
  auto result = co_await sessions_.Query(std::string(kExecuteState), deadline);
  if (!result) co_return std::unexpected(std::move(result.error()));
  if (result->rows.size() != 1) co_return Fail(Code::kInternal, "server state: no row");
  co_return FromRow(result->rows[0]);
}

Awaitable<Result<std::vector<Follower>>> SqlServer::ReadFollowers(Deadline deadline) {
  // A logical walsender has a database; physical ones have none.
  auto result = co_await sessions_.Query(
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

Awaitable<Result<bool>> SqlServer::Visible(std::string condition, Deadline deadline) {
  auto seen = co_await sessions_.Scalar("SELECT " + condition, deadline);
  if (!seen) co_return std::unexpected(std::move(seen.error()));
  co_return *seen == "t";
}

Awaitable<Result<>> SqlServer::ChangeSettings(std::vector<SettingChange> changes, Deadline deadline) {
  deadline = deadline.Earlier(clock().After(kReloadTimeout));
  std::string condition = "true";
  for (const SettingChange& change : changes) {
    const std::string literal = pgclient::QuoteLiteral(change.value);
    // One statement each: ALTER SYSTEM can't run inside a transaction block. For a list, SET takes items; the whole
    // list as one string is what the file must hold, and so is what a single literal gives for names that are no list.
    auto altered = co_await sessions_.Query("ALTER SYSTEM SET " + change.name + " = " + literal, deadline);
    if (!altered) co_return Fail(std::move(altered), "ALTER SYSTEM SET " + change.name);
    condition += " AND current_setting('" + change.name + "') = " + literal;
  }
  auto reloaded = co_await sessions_.Query("SELECT pg_reload_conf()", deadline);
  if (!reloaded) co_return Fail(std::move(reloaded), "reload");
  while (true) {
    auto visible = co_await Visible(condition, deadline);
    if (!visible) co_return Fail(std::move(visible), "reload");
    if (*visible) co_return Result<>();
    if (deadline.Passed(clock().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "settings were written but the reload took no effect in time");
    }
    co_await SleepFor(clock(), kReloadPoll);
  }
}

Awaitable<Result<>> SqlServer::Promote(std::int64_t term, Deadline deadline) {
  auto state = co_await ReadState(deadline);
  if (!state) co_return std::unexpected(std::move(state.error()));
  auto reservation = TimelineReservation::Make(data_dir_, state->timeline, term);
  if (!reservation) co_return std::unexpected(std::move(reservation.error()));
  // From here on it may happen at any time, whatever this call learns of it.
  reservation->Keep();
  auto promoted = co_await sessions_.Query("SELECT pg_promote(false)", deadline);
  if (!promoted) co_return Fail(std::move(promoted), "pg_promote");
  while (true) {
    auto recovering = co_await sessions_.Scalar("SELECT pg_is_in_recovery()", deadline);
    if (recovering && *recovering == "f") break;
    if (deadline.Passed(clock().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "PostgreSQL was told to promote and is still in recovery");
    }
    co_await SleepFor(clock(), kPromotionPoll);
  }
  auto now = co_await ReadState(deadline);
  if (!now) co_return std::unexpected(std::move(now.error()));
  if (now->timeline != term + 1) {
    co_return Fail(Code::kInternal,
                   fmt::format("promotion in term {} gave timeline {} instead of {}", term, now->timeline, term + 1));
  }
  co_return Result<>();
}

Awaitable<Result<>> SqlServer::Checkpoint(Deadline deadline) {
  auto done = co_await sessions_.Query("CHECKPOINT", deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return Result<>();
}

Awaitable<Result<>> SqlServer::SetReplayPaused(bool paused, Deadline deadline) {
  auto done =
      co_await sessions_.Query(paused ? "SELECT pg_wal_replay_pause()" : "SELECT pg_wal_replay_resume()", deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return Result<>();
}

// What the files say, before the server has read them.
Awaitable<Result<ReloadReport>> SqlServer::CompareSettings(std::map<std::string, std::string> expected,
                                                           Deadline deadline) {
  ReloadReport report;
  for (const auto& [name, value] : expected) {
    auto row = co_await sessions_.Query(
        fmt::format("SELECT f.setting = {1} OR (f.setting IS NULL AND s.reset_val = {1}), f.error, "
                    "s.context = 'postmaster' AND f.setting IS DISTINCT FROM s.setting "
                    "FROM (SELECT 1) one LEFT JOIN pg_settings s ON s.name = {0} "
                    "LEFT JOIN LATERAL (SELECT setting, error FROM pg_file_settings WHERE name = {0} "
                    "ORDER BY seqno DESC LIMIT 1) f ON true",
                    pgclient::QuoteLiteral(name), pgclient::QuoteLiteral(value)),
        deadline);
    if (!row) co_return Fail(std::move(row), "pg_file_settings");
    const Row& columns = row->rows.at(0);
    const bool matches = columns[0].value_or("f") == "t";
    const bool restart = columns[2].value_or("f") == "t";
    if (matches && restart) report.needs_restart = true;
    if (matches) continue;
    report.mismatches.push_back({.name = name,
                                 .error = columns[1].value_or("the configuration files say something else"),
                                 .requires_restart = restart});
  }
  co_return report;
}

Awaitable<Result<ReloadReport>> SqlServer::Reload(std::map<std::string, std::string> expected, Deadline deadline) {
  auto report = co_await CompareSettings(std::move(expected), deadline);
  if (!report || !report->mismatches.empty()) co_return report;
  auto reloaded = co_await sessions_.Query("SELECT pg_reload_conf()", deadline);
  if (!reloaded) co_return Fail(std::move(reloaded), "reload");
  co_await SleepFor(clock(), kReloadPause);
  auto loaded =
      co_await sessions_.Scalar("SELECT (extract(epoch FROM pg_conf_load_time()) * 1000000)::bigint", deadline);
  if (!loaded) co_return Fail(std::move(loaded), "reload");
  report->loaded_at = WallTime(std::chrono::microseconds(std::strtoll(loaded->c_str(), nullptr, 10)));
  co_return report;
}

Awaitable<bool> SqlServer::IsPrimaryAt(std::string host, std::uint16_t port, Deadline deadline) {
  AdminOptions options = sessions_.options();
  options.address = TcpAddress{std::move(host), port};
  AdminSessions sessions(sessions_.reactor(), std::move(options));
  auto recovering = co_await sessions.Scalar("SELECT pg_is_in_recovery()", deadline);
  co_return recovering && *recovering == "f";
}

}  // namespace multigres::pooler::replication
