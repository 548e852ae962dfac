// How the manager knows whether PostgreSQL is there and answers: it asks all the time, one question at a time and
// without the action lock, watches the process, and reports on time whether or not there was an answer.
#include "common/consensus/member.h"
#include "services/multipooler/manager/manager.h"

namespace multigres::pooler::manager {

using multigres::consensus::MemberText;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A server that is frozen answers nobody: the session that waits keeps waiting, rather than that more of them pile up
// before it. One that hangs alone is given up, each time after twice as long.
constexpr Duration kFirstPatience = seconds(2);
constexpr Duration kMostPatience = seconds(30);
// Silent for so long, a server is no longer served.
constexpr Duration kGivenUpAfter = seconds(5);
constexpr Duration kFreshTimeout = seconds(1);
constexpr Duration kShortRead = seconds(2);
constexpr Duration kProcessTimeout = seconds(2);
constexpr Duration kProcessInterval = seconds(1);

bool IsDeadline(const Error& error) {
  return error.code() == Code::kDeadlineExceeded;
}

}  // namespace

Duration PoolerManager::Silence() const {
  return reactor_.clock().Now() - answered_at_;
}

bool PoolerManager::Answering() const {
  return state_.server && process_alive_ && Silence() < config_.unready_timeout;
}

Awaitable<void> PoolerManager::ProbeLoop() {
  while (true) {
    wake_probe_.Reset();
    probe_began_ = clock().Now();
    probing_ = true;
    co_await Probe();
    probing_ = false;
    last_probe_ = probe_began_;
    probe_ended_.Pulse();
    // One that took long, or failed at once, is followed by a pause all the same.
    const TimePoint next = std::max(probe_began_ + config_.refresh_interval, clock().Now() + milliseconds(10));
    (void)co_await wake_probe_.WaitUntil(clock(), Deadline(next));
  }
}

// A session that was ended says nothing about the server: a fresh one is asked.
Awaitable<Result<consensus::Agent::Observation>> PoolerManager::Ask() {
  auto seen = co_await agent_->Look(false, clock().After(probe_patience_));
  if (seen || IsDeadline(seen.error())) co_return seen;
  server_.Disconnect();
  co_return co_await agent_->Look(false, clock().After(probe_patience_));
}

Awaitable<void> PoolerManager::Probe() {
  const std::uint64_t operations = action_lock_.requests();
  const bool busy = action_lock_.IsLocked();
  auto seen = co_await Ask();
  if (seen) NoteAnswer();
  if (!seen && IsDeadline(seen.error())) probe_patience_ = std::min(probe_patience_ * 2, kMostPatience);
  if (!seen && !IsDeadline(seen.error())) state_.unresponsive = false;  // it says no, or is gone
  // What an operation has changed meanwhile isn't overwritten by what was seen before; it publishes by itself.
  if (busy || action_lock_.IsLocked() || action_lock_.requests() != operations) co_return PublishStatus();
  if (!seen) {
    if (!IsDeadline(seen.error())) state_.server.reset();
    co_return co_await NoteFailure();
  }
  if (seen->server.impostors_ended > 0) {
    logger_.Error("client ended that replicated under a member's name", {{"sessions", seen->server.impostors_ended}});
  }
  const auto receive_lsn = seen->server.receive_lsn;
  // Without rules (the shard isn't bootstrapped, or they are being changed) the rest counts all the same.
  (void)agent_->Take(std::move(*seen));
  if (receive_lsn != last_receive_lsn_) {
    last_receive_lsn_ = receive_lsn;
    receive_lsn_advanced_at_ = clock().WallNow();
  }
  co_await ReadHeartbeat();
  if (action_lock_.IsLocked()) co_return PublishStatus();
  co_await PublishState();
}

Awaitable<void> PoolerManager::ReadHeartbeat() {
  if (state_.server && state_.server->in_recovery && state_.bootstrapped) {
    (void)co_await heartbeat_.Read(clock().After(kShortRead));
  } else {
    heartbeat_.Forget();
  }
  serving_.board().SetReplicationLag(heartbeat_.lag_ns());
}

void PoolerManager::NoteAnswer() {
  answered_at_ = clock().Now();
  last_answer_ = clock().WallNow();
  probe_patience_ = kFirstPatience;
  if (state_.unresponsive) logger_.Info("postgres answers again", {});
  state_.unresponsive = false;
  initialized_ = true;
  process_alive_ = postmaster_ == nullptr || postmaster_->Look() != PostmasterWatch::Sight::kGone;
}

Awaitable<void> PoolerManager::NoteFailure() {
  heartbeat_.Forget();
  serving_.board().SetReplicationLag(0);
  co_await FindProcess();
  if (action_lock_.IsLocked()) co_return PublishStatus();
  co_await PublishState();
}

// Whether the process runs, where possible without a question to pgctld, which asks PostgreSQL in turn.
Awaitable<void> PoolerManager::FindProcess() {
  const auto sight = postmaster_ == nullptr ? PostmasterWatch::Sight::kUnknown : postmaster_->Look();
  if (sight != PostmasterWatch::Sight::kUnknown) {
    process_alive_ = sight == PostmasterWatch::Sight::kRuns;
    co_return;
  }
  if (clock().Now() < next_process_question_) co_return;
  next_process_question_ = clock().Now() + kProcessInterval;
  auto process = co_await process_.Status(clock().After(kProcessTimeout));
  if (!process) co_return;
  initialized_ = process->initialized;
  process_alive_ = process->process_alive;
}

// While a probe waits: the report goes out on time with what is known, and an outage becomes one.
Awaitable<void> PoolerManager::ReportLoop() {
  const Duration most = config_.refresh_interval + config_.refresh_interval / 4;
  while (true) {
    co_await SleepUntil(clock(), Deadline(std::max(published_at_ + most, clock().Now() + milliseconds(10))));
    if (clock().Now() - published_at_ < most) continue;
    // The probe itself must have waited a while: after an outage the silence is long before anybody was asked.
    const bool waits =
        probing_ && Silence() >= config_.unready_timeout && clock().Now() - probe_began_ >= config_.unready_timeout / 2;
    if (waits && process_alive_ && !state_.unresponsive) {
      state_.unresponsive = true;
      logger_.Warn("postgres doesn't answer", {});
    }
    if (state_.server && Silence() >= kGivenUpAfter && !action_lock_.IsLocked()) {
      state_.server.reset();
      co_await PublishState();
    } else {
      PublishStatus();
    }
  }
}

Awaitable<void> PoolerManager::PostmasterLoop() {
  while (true) {
    if (postmaster_->Look() != PostmasterWatch::Sight::kRuns) {
      co_await SleepFor(clock(), config_.refresh_interval);
      continue;
    }
    co_await postmaster_->WaitForEnd();
    co_await OnPostmasterEnded();
  }
}

Awaitable<void> PoolerManager::OnPostmasterEnded() {
  // Perhaps it was replaced already; what was known of the one that has ended doesn't hold for another.
  process_alive_ = postmaster_->Look() == PostmasterWatch::Sight::kRuns;
  state_.unresponsive = false;
  answered_at_ = clock().Now() - config_.unready_timeout;
  logger_.Info("postmaster ended", {{"replaced", process_alive_}});
  server_.Disconnect();
  // An operation ends and starts servers itself, and knows what it does.
  if (action_lock_.IsLocked()) co_return PublishStatus();
  state_.server.reset();
  heartbeat_.Forget();
  WakeMonitor();
  co_await PublishState();
}

Awaitable<PoolerManager::Snapshot> PoolerManager::FreshStatus() {
  const TimePoint asked = clock().Now();
  const Deadline deadline = clock().After(kFreshTimeout);
  while (ready_ && !stopping_ && last_probe_ < asked && !deadline.Passed(clock().Now())) {
    wake_probe_.Set();
    (void)co_await probe_ended_.WaitUntil(clock(), deadline);
  }
  co_return published_health_.snapshot ? published_health_.snapshot : Snapshot(BuildStatus());
}

Awaitable<void> PoolerManager::HeartbeatLoop() {
  Duration patience = kFirstPatience;
  while (true) {
    co_await SleepFor(clock(), config_.heartbeat_interval);
    if (!agent_->IsWritableLeader()) {
      last_heartbeat_write_.reset();
      continue;
    }
    auto beat = co_await heartbeat_.Beat(MemberText(config_.id), clock().After(patience));
    if (beat) {
      last_heartbeat_write_ = clock().WallNow();
      patience = kFirstPatience;
      continue;
    }
    if (IsDeadline(beat.error())) patience = std::min(patience * 2, kMostPatience);
    logger_.Warn("heartbeat not written", {{"error", beat.error()}});
  }
}

}  // namespace multigres::pooler::manager
