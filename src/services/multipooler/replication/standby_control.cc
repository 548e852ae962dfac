#include "services/multipooler/replication/standby_control.h"

namespace multigres::pooler::replication {

namespace {

using std::chrono::milliseconds;

constexpr Duration kReceiverPoll = milliseconds(20);
constexpr Duration kReplayPoll = milliseconds(100);

bool WaitsForNewWal(const ServerState& state) {
  return state.startup_wait_event == "RecoveryRetrieveRetryInterval" || state.startup_wait_event == "RecoveryWalStream";
}

Error StillWaiting(std::string_view what, const ServerState& state) {
  return Error(Code::kDeadlineExceeded,
               fmt::format("{}: received {}, replayed {}, startup process waits for '{}'", what,
                           state.receive_lsn ? ::multigres::consensus::LsnText(*state.receive_lsn) : "nothing",
                           state.replay_lsn ? ::multigres::consensus::LsnText(*state.replay_lsn) : "nothing",
                           state.startup_wait_event));
}

}  // namespace

Awaitable<Result<>> Follow(AdminSessions& sessions, PrimaryConninfo conninfo, Deadline deadline) {
  auto state = co_await ReadServerState(sessions, deadline);
  if (!state) co_return std::unexpected(std::move(state.error()));
  if (!state->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
  std::vector<SettingChange> changes;
  const std::string wanted = conninfo.Text();
  if (state->primary_conninfo != wanted) changes.push_back({"primary_conninfo", wanted});
  if (!state->restore_command.empty()) changes.push_back({"restore_command", ""});
  if (!changes.empty()) {
    auto changed = co_await ChangeSettings(sessions, std::move(changes), deadline);
    if (!changed) co_return changed;
  }
  if (state->replay_paused) co_return co_await ResumeReplay(sessions, deadline);
  co_return Result<>();
}

Awaitable<Result<>> StopReceiver(AdminSessions& sessions, Deadline deadline) {
  std::vector<SettingChange> changes;
  changes.push_back({"primary_conninfo", ""});
  auto changed = co_await ChangeSettings(sessions, std::move(changes), deadline);
  if (!changed) co_return changed;
  while (true) {
    auto state = co_await ReadServerState(sessions, deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    const bool idle = state->receiver_status.empty() || state->receiver_status == "waiting";
    if (idle && state->primary_conninfo.empty()) co_return Result<>();
    if (deadline.Passed(sessions.clock().Now())) {
      co_return std::unexpected(StillWaiting("WAL receiver didn't stop", *state));
    }
    co_await SleepFor(sessions.clock(), kReceiverPoll);
  }
}

Awaitable<Result<>> StopParticipation(AdminSessions& sessions, PostgresProcess& process, Deadline deadline) {
  auto stopped = co_await StopReceiver(sessions, deadline);
  if (!stopped) co_return stopped;
  auto state = co_await ReadServerState(sessions, deadline);
  if (!state) co_return std::unexpected(std::move(state.error()));
  if (!state->restore_command.empty()) {
    std::vector<SettingChange> changes;
    changes.push_back({"restore_command", ""});
    auto changed = co_await ChangeSettings(sessions, std::move(changes), deadline);
    if (!changed) co_return changed;
    auto ended = co_await process.StopRestoreCommand();
    if (!ended) co_return Fail(std::move(ended), "restore_command");
  }
  if (state->replay_paused) {
    auto resumed = co_await ResumeReplay(sessions, deadline);
    if (!resumed) co_return resumed;
  }
  co_return co_await WaitForReplay(sessions, deadline);
}

Awaitable<Result<>> WaitForReplay(AdminSessions& sessions, Deadline deadline) {
  int waiting_polls = 0;
  while (true) {
    auto state = co_await ReadServerState(sessions, deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    if (state->receive_lsn && state->replay_lsn >= state->receive_lsn) co_return Result<>();
    waiting_polls = WaitsForNewWal(*state) ? waiting_polls + 1 : 0;
    if (waiting_polls >= 2) co_return Result<>();
    if (deadline.Passed(sessions.clock().Now())) co_return std::unexpected(StillWaiting("replay didn't end", *state));
    co_await SleepFor(sessions.clock(), kReplayPoll);
  }
}

Awaitable<Result<>> WaitForLsn(AdminSessions& sessions, Lsn target, Deadline deadline) {
  while (true) {
    auto state = co_await ReadServerState(sessions, deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    if (!state->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
    if (state->replay_lsn && *state->replay_lsn >= target) co_return Result<>();
    if (deadline.Passed(sessions.clock().Now())) {
      co_return std::unexpected(StillWaiting(::multigres::consensus::LsnText(target) + " not replayed", *state));
    }
    co_await SleepFor(sessions.clock(), kReplayPoll);
  }
}

Awaitable<Result<>> PauseReplay(AdminSessions& sessions, bool wait, Deadline deadline) {
  auto paused = co_await sessions.Query("SELECT pg_wal_replay_pause()", deadline);
  if (!paused) co_return std::unexpected(std::move(paused.error()));
  while (wait) {
    auto state = co_await ReadServerState(sessions, deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    if (state->replay_pause_state == "paused") break;
    if (deadline.Passed(sessions.clock().Now())) co_return std::unexpected(StillWaiting("replay not paused", *state));
    co_await SleepFor(sessions.clock(), kReplayPoll);
  }
  co_return Result<>();
}

Awaitable<Result<>> ResumeReplay(AdminSessions& sessions, Deadline deadline) {
  auto resumed = co_await sessions.Query("SELECT pg_wal_replay_resume()", deadline);
  if (!resumed) co_return std::unexpected(std::move(resumed.error()));
  co_return Result<>();
}

}  // namespace multigres::pooler::replication
