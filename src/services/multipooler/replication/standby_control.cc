#include "services/multipooler/replication/standby_control.h"

#include "common/consensus/safety.h"
#include "tools/async/event.h"

namespace multigres::pooler::replication {

namespace {

using std::chrono::milliseconds;

// A read of the state costs a millisecond; what is waited for takes a few.
constexpr Duration kPoll = milliseconds(3);
// How long the startup process may wait before it looks again for WAL that was received (wal_retrieve_retry_interval):
// two looks so far apart don't fall into one wait.
constexpr Duration kRetrieveRetry = milliseconds(100);
constexpr Duration kSlowPoll = milliseconds(100);

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

Awaitable<Result<>> Follow(Server& server, PrimaryConninfo conninfo, Deadline deadline) {
  auto state = co_await server.ReadStateSoon(deadline);
  if (!state) co_return std::unexpected(std::move(state.error()));
  if (!state->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
  std::vector<SettingChange> changes;
  const std::string wanted = conninfo.Text();
  if (state->primary_conninfo != wanted) changes.push_back({"primary_conninfo", wanted});
  if (!state->restore_command.empty()) changes.push_back({"restore_command", ""});
  if (!changes.empty()) {
    auto changed = co_await server.ChangeSettings(std::move(changes), deadline);
    if (!changed) co_return changed;
  }
  if (state->replay_paused) co_return co_await ResumeReplay(server, deadline);
  co_return Result<>();
}

Awaitable<Result<>> StopReceiver(Server& server, Deadline deadline) {
  std::vector<SettingChange> changes;
  changes.push_back({"primary_conninfo", ""});
  auto changed = co_await server.ChangeSettings(std::move(changes), deadline);
  if (!changed) co_return changed;
  while (true) {
    auto state = co_await server.ReadStateSoon(deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    const bool idle = state->receiver_status.empty() || state->receiver_status == "waiting";
    if (idle && state->primary_conninfo.empty()) co_return Result<>();
    if (deadline.Passed(server.clock().Now())) {
      co_return std::unexpected(StillWaiting("WAL receiver didn't stop", *state));
    }
    co_await SleepFor(server.clock(), kPoll);
  }
}

Awaitable<Result<>> StopParticipation(Server& server, PostgresProcess& process, Deadline deadline) {
  auto stopped = co_await StopReceiver(server, deadline);
  if (!stopped) co_return stopped;
  auto state = co_await server.ReadStateSoon(deadline);
  if (!state) co_return std::unexpected(std::move(state.error()));
  if (!state->restore_command.empty()) {
    std::vector<SettingChange> changes;
    changes.push_back({"restore_command", ""});
    auto changed = co_await server.ChangeSettings(std::move(changes), deadline);
    if (!changed) co_return changed;
    auto ended = co_await process.StopRestoreCommand();
    if (!ended) co_return Fail(std::move(ended), "restore_command");
  }
  if (state->replay_paused) {
    auto resumed = co_await ResumeReplay(server, deadline);
    if (!resumed) co_return resumed;
  }
  if (!::multigres::consensus::Enforced(::multigres::consensus::SafetyRule::kReplayAwaited)) co_return Result<>();
  co_return co_await WaitForReplay(server, deadline);
}

Awaitable<Result<>> WaitForReplay(Server& server, Deadline deadline) {
  int waiting_looks = 0;
  Deadline next_look(server.clock().Now());
  while (true) {
    auto state = co_await server.ReadStateSoon(deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    if (state->receive_lsn && state->replay_lsn >= state->receive_lsn) co_return Result<>();
    const TimePoint now = server.clock().Now();
    if (next_look.Passed(now)) {
      waiting_looks = WaitsForNewWal(*state) ? waiting_looks + 1 : 0;
      if (waiting_looks >= 2) co_return Result<>();
      next_look = Deadline(now + kRetrieveRetry);
    }
    if (deadline.Passed(now)) co_return std::unexpected(StillWaiting("replay didn't end", *state));
    co_await SleepFor(server.clock(), kPoll);
  }
}

Awaitable<Result<>> WaitForLsn(Server& server, Lsn target, Deadline deadline) {
  while (true) {
    auto state = co_await server.ReadStateSoon(deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    if (!state->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
    if (state->replay_lsn && *state->replay_lsn >= target) co_return Result<>();
    if (deadline.Passed(server.clock().Now())) {
      co_return std::unexpected(StillWaiting(::multigres::consensus::LsnText(target) + " not replayed", *state));
    }
    co_await SleepFor(server.clock(), kSlowPoll);
  }
}

Awaitable<Result<>> PauseReplay(Server& server, bool wait, Deadline deadline) {
  auto paused = co_await server.SetReplayPaused(true, deadline);
  if (!paused) co_return paused;
  while (wait) {
    auto state = co_await server.ReadStateSoon(deadline);
    if (!state) co_return std::unexpected(std::move(state.error()));
    if (state->replay_pause_state == "paused") break;
    if (deadline.Passed(server.clock().Now())) co_return std::unexpected(StillWaiting("replay not paused", *state));
    co_await SleepFor(server.clock(), kSlowPoll);
  }
  co_return Result<>();
}

Awaitable<Result<>> ResumeReplay(Server& server, Deadline deadline) {
  co_return co_await server.SetReplayPaused(false, deadline);
}

}  // namespace multigres::pooler::replication
