// The manager's monitor: looks, decides (monitor_decision.h), acts; one action a tick, with the action lock held.
#include "common/consensus/lsn.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/transition.h"
#include "services/multipooler/manager/manager.h"
#include "services/multipooler/manager/recruit_floor.h"

namespace multigres::pooler::manager {

namespace pb = ::clustermetadata;
namespace data = ::multipoolermanagerdata;
using multigres::consensus::MemberText;
using multigres::consensus::SameMember;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr Duration kActionTimeout = seconds(60);
constexpr Duration kRejoinTimeout = minutes(30);
constexpr Duration kMostRejoinBackoff = minutes(5);
constexpr Duration kCutOffAfter = seconds(10);
constexpr Duration kBusyRetry = seconds(1);
constexpr Duration kRewindRetry = milliseconds(200);
constexpr Duration kUnknownRetry = milliseconds(200);
constexpr Duration kPeerTimeout = seconds(3);
constexpr Duration kProcessTimeout = seconds(3);
constexpr Duration kCheckpointTimeout = minutes(10);

}  // namespace

Awaitable<void> PoolerManager::MonitorLoop() {
  while (true) {
    wake_monitor_.Reset();
    waiting_ = false;
    pause_ = config_.monitor_interval;
    co_await AskOthers();
    {
      auto lock = co_await action_lock_.Lock(clock(), clock().After(config_.monitor_interval), "monitor");
      if (lock) co_await MonitorTick();
    }
    if (promotion_unfinished_ && agent_->IsWritableLeader()) {
      auto finished = co_await agent_->FinishPromotion();
      promotion_unfinished_ = !finished;
      if (finished) continue;
      logger_.Warn("promotion not finished, tried again", {{"error", finished.error()}});
    }
    (void)co_await wake_monitor_.WaitUntil(clock(), clock().After(pause_));
  }
}

// What waits for others is looked at more often than what is well.
void PoolerManager::WaitForOthers(Duration retry) {
  waiting_ = true;
  pause_ = std::min(pause_, retry);
}

Awaitable<void> PoolerManager::AskOthers() {
  co_await LearnRewindReadiness();
  co_await LearnWhetherCutOff();
  co_await SettleFloor();
}

void PoolerManager::CheckpointSoon() {
  tasks_.Spawn("checkpoint", Checkpoint());
}

Awaitable<void> PoolerManager::Checkpoint() {
  const auto leads = [this] {
    return state_.recorded_primary && SameMember(state_.recorded_primary->primary().id(), config_.id);
  };
  while (leads()) {
    auto done = co_await server_.Checkpoint(clock().After(kCheckpointTimeout));
    if (done) break;
    logger_.Warn("no checkpoint after promotion", {{"error", done.error()}});
    co_await SleepFor(clock(), kBusyRetry);
  }
  if (!leads()) co_return;
  state_.recorded_primary->set_rewind_ready(true);
  co_await PublishState();
}

// A member that waits to be rewound asks its leader itself: the leader's rule may wait for this member.
Awaitable<void> PoolerManager::LearnRewindReadiness() {
  if (!state_.suspected_divergence || !ShouldFollow() || state_.recorded_primary->rewind_ready()) co_return;
  WaitForOthers(kRewindRetry);
  const pb::ID leader_id = state_.recorded_primary->primary().id();
  auto leader = co_await peers_.StatusOf(leader_id, clock().After(kPeerTimeout));
  if (!leader || !ShouldFollow() || !SameMember(state_.recorded_primary->primary().id(), leader_id)) co_return;
  const pb::ReplicationPrimary& claim = leader->consensus_status().replication_primary();
  const bool leads = SameMember(claim.primary().id(), leader_id) &&
                     multigres::consensus::CompareRules(claim.position(), state_.recorded_primary->position()) >= 0;
  if (leads && claim.rewind_ready()) state_.recorded_primary->set_rewind_ready(true);
}

Awaitable<void> PoolerManager::MonitorTick() {
  co_await Observe();
  const MonitorView view = co_await Look();
  if (!view.conclusive) WaitForOthers(kUnknownRetry);
  if (view.answering && !view.rewind_interrupted) failures_.Reset();
  if (quarantined_) co_return;
  const MonitorAction action = DecideMonitorAction(view);
  if (action == MonitorAction::kNone) co_return co_await PublishState();
  if (action != MonitorAction::kBootstrap) logger_.Info("monitor acts", {{"action", ActionName(action)}});
  auto done = co_await Act(action);
  if (!done) {
    logger_.Warn("monitor action failed", {{"action", ActionName(action)}, {"error", done.error()}});
    WaitForOthers(std::max(kBusyRetry, next_rejoin_ - clock().Now()));
  }
  Count(action, done.has_value());
  // An action that succeeded may have uncovered the next.
  if (done && !waiting_) wake_monitor_.Set();
  co_await Observe();
  co_await PublishState();
}

Awaitable<void> PoolerManager::Observe() {
  if (state_.unresponsive) co_return;
  auto seen = co_await agent_->Look(true, clock().After(config_.unready_timeout));
  if (!seen && seen.error().code() != Code::kDeadlineExceeded) {
    // A session that was ended says nothing about the server.
    server_.Disconnect();
    seen = co_await agent_->Look(true, clock().After(config_.unready_timeout));
  }
  if (seen) {
    (void)agent_->Take(std::move(*seen));
  } else if (seen.error().code() != Code::kDeadlineExceeded) {
    state_.server.reset();
    server_.Disconnect();
  }
}

void PoolerManager::Count(MonitorAction action, bool done) {
  const bool brings_up = action == MonitorAction::kStartAsStandby || action == MonitorAction::kRejoin ||
                         action == MonitorAction::kBootstrap;
  if (done || !brings_up) return;
  failures_.Failed(clock().Now());
  if (!failures_.IsUnrecoverable(clock().Now())) return;
  quarantined_ = true;
  state_.eligible = false;
  logger_.Error("node.quarantine", {{"attempts", failures_.attempts()}, {"action", ActionName(action)}});
}

bool PoolerManager::ShouldFollow() const {
  if (!state_.recorded_primary || state_.promoting) return false;
  const pb::ReplicationPrimary& primary = *state_.recorded_primary;
  return !SameMember(primary.primary().id(), state_.self) &&
         !multigres::consensus::IsRuleRevoked(primary.position(), promises_->revocation());
}

bool PoolerManager::Streaming() const {
  if (!state_.server || !state_.recorded_primary) return false;
  const pb::ShardRule& rule = multigres::consensus::HighestRule(state_.recorded_primary->position());
  return GetsWalOf(rule.rule_number().coordinator_term(), state_.server->receiver_status, state_.server->timeline);
}

Awaitable<MonitorView> PoolerManager::Look() {
  MonitorView view;
  view.restarts_enabled = restarts_enabled_;
  view.conclusive = co_await LookAtProcess();
  if (!view.conclusive) co_return view;
  view.initialized = initialized_;
  view.process_alive = process_alive_;
  view.answering = state_.server.has_value() && process_alive_ && !state_.unresponsive;
  view.bootstrap_interrupted = bootstrap_->WasInterrupted();
  view.rewind_interrupted = agent_->RewindWasInterrupted();
  view.suspected_divergence = state_.suspected_divergence;
  view.leads_by_rule = agent_->LeadsByRule();
  view.can_rejoin = agent_->CanRejoin();
  view.rejoin_backoff_over = clock().Now() >= next_rejoin_;
  if (!view.answering) co_return view;

  const replication::ServerState& server = *state_.server;
  view.in_recovery = server.in_recovery;
  view.writable_leader = agent_->IsWritableLeader();
  view.could_readmit = agent_->CouldReadmit();
  view.demotion_requested =
      state_.resigned_term != 0 &&
      state_.resigned_term >= state_.position.position().decision().rule_number().coordinator_term();
  view.self_healing = !state_.replication_stopped;
  view.should_follow = ShouldFollow();
  if (view.should_follow) {
    const pb::ShardRule& own = multigres::consensus::HighestRule(state_.position.position());
    view.led_last = own.has_leader_id() && SameMember(own.leader_id(), state_.self);
    view.conninfo_differs = server.primary_conninfo != agent_->ConninfoTo(state_.recorded_primary->primary()).Text();
  }
  view.restore_command_set = !server.restore_command.empty();
  if (view.writable_leader) {
    auto wanted = multigres::consensus::SyncStandbysFor(state_.position.position(), MemberText(config_.id));
    view.sync_standbys_differ =
        wanted && (wanted->Text() != server.synchronous_standby_names || server.synchronous_commit != "on");
    view.checkpointed_as_primary = server.checkpoint_timeline == server.timeline;
    view.rewind_ready = state_.recorded_primary && state_.recorded_primary->rewind_ready();
  }
  view.cut_off = cut_off_ && !Streaming();
  co_return view;
}

// A postmaster that is seen needs no question. False: it isn't known whether there is one.
Awaitable<bool> PoolerManager::LookAtProcess() {
  if (postmaster_ != nullptr && postmaster_->Look() == PostmasterWatch::Sight::kRuns) {
    initialized_ = process_alive_ = true;
    co_return true;
  }
  auto process = co_await process_.Status(clock().After(kProcessTimeout));
  if (!process) {
    if (std::exchange(pgctld_answers_, false)) logger_.Warn("pgctld doesn't answer", {{"error", process.error()}});
    co_return false;
  }
  pgctld_answers_ = true;
  initialized_ = process->initialized;
  process_alive_ = process->process_alive;
  co_return true;
}

// Streaming should work and doesn't, and it isn't because the leader is gone.
Awaitable<void> PoolerManager::LearnWhetherCutOff() {
  cut_off_ = false;
  if (!state_.server || !state_.server->in_recovery || !ShouldFollow() || Streaming()) {
    not_streaming_since_.reset();
    co_return;
  }
  if (!not_streaming_since_) not_streaming_since_ = clock().Now();
  if (clock().Now() - *not_streaming_since_ < kCutOffAfter) co_return;
  const pb::PoolerAddress primary = state_.recorded_primary->primary();
  const bool writes = co_await server_.IsPrimaryAt(primary.host(), static_cast<std::uint16_t>(primary.postgres_port()),
                                                   clock().After(seconds(1)));
  // Perhaps it follows another by now.
  cut_off_ = writes && ShouldFollow() && SameMember(state_.recorded_primary->primary().id(), primary.id());
}

Awaitable<Result<>> PoolerManager::Act(MonitorAction action) {
  const Deadline deadline = clock().After(kActionTimeout);
  switch (action) {
    case MonitorAction::kNone:
      break;
    case MonitorAction::kBootstrap:
      co_return co_await BootstrapStep();
    case MonitorAction::kStartAsStandby:
      co_return co_await StartServer();
    case MonitorAction::kFlagDivergence:
      state_.suspected_divergence = true;
      break;
    case MonitorAction::kRejoin: {
      auto rejoined = co_await agent_->Rejoin(clock().After(kRejoinTimeout));
      if (rejoined) {
        rejoin_backoff_ = kFirstRejoinBackoff;
        co_return rejoined;
      }
      next_rejoin_ = clock().Now() + rejoin_backoff_;
      rejoin_backoff_ = std::min(rejoin_backoff_ * 2, kMostRejoinBackoff);
      co_return rejoined;
    }
    case MonitorAction::kRequestDemotion:
      state_.resigned_term =
          std::max<std::int64_t>(1, state_.position.position().decision().rule_number().coordinator_term());
      break;
    case MonitorAction::kReadmit:
      co_return co_await agent_->Readmit(deadline);
    case MonitorAction::kRepairConninfo:
      co_return co_await agent_->RepairConninfo(deadline);
    case MonitorAction::kRepairSyncStandbys:
      co_return co_await agent_->RepairSyncStandbys(deadline);
    case MonitorAction::kMarkRewindReady:
      state_.recorded_primary->set_rewind_ready(true);
      break;
  }
  co_return Result<>();
}

Awaitable<Result<>> PoolerManager::StartServer() {
  auto prepared = postgres_.data.RemoveTimelineLeftovers();
  if (prepared && state_.suspected_divergence) {
    const std::vector<replication::AutoConfChange> changes = {
        {.name = "primary_conninfo", .remove = true, .value = {}}};
    prepared = postgres_.data.EditAutoConf(changes);
  }
  if (!prepared) co_return prepared;
  postgres_action_ = data::POSTGRES_ACTION_STARTING;
  postgres_action_since_ = clock().Now();
  co_await PublishState();
  server_.Disconnect();
  auto started = co_await process_.StartAsStandby(state_.suspected_divergence);
  postgres_action_ = data::POSTGRES_ACTION_UNSPECIFIED;
  state_.writes_admitted = false;
  if (started) co_await OnServerRestarted();
  co_return started;
}

Awaitable<Result<>> PoolerManager::BootstrapStep() {
  postgres_action_ = data::POSTGRES_ACTION_STARTING;
  postgres_action_since_ = clock().Now();
  co_await PublishState();
  auto progress = co_await bootstrap_->Step();
  postgres_action_ = data::POSTGRES_ACTION_UNSPECIFIED;
  WaitForOthers(kBusyRetry);
  if (!progress) co_return std::unexpected(std::move(progress.error()));
  if (progress->done) {
    waiting_ = false;
    last_waiting_.clear();
    co_await OnServerRestarted();
    co_return Result<>();
  }
  if (progress->waiting_for != last_waiting_) logger_.Info("bootstrap waits", {{"reason", progress->waiting_for}});
  last_waiting_ = progress->waiting_for;
  co_return Result<>();
}

// A seeded member's floor: the LSN of a leader that writes by a rule at least as high as any followed, read after the
// copy was made.
Awaitable<void> PoolerManager::SettleFloor() {
  const pb::LsnPosition* floor = promises_->recruit_floor();
  if (floor == nullptr || !state_.server) co_return;
  if (!IsUnknownFloor(*floor)) {
    if (!multigres::consensus::IsFloorOutstanding(state_.position, floor)) {
      auto cleared = promises_->ClearRecruitFloor();
      if (!cleared) logger_.Warn("recruit floor not cleared", {{"error", cleared.error()}});
    }
    co_return;
  }
  if (!ShouldFollow()) co_return;
  auto leader = co_await peers_.StatusOf(state_.recorded_primary->primary().id(), clock().After(kPeerTimeout));
  if (!leader || leader->status().pooler_type() != pb::PRIMARY) co_return;
  floor = promises_->recruit_floor();
  if (floor == nullptr || !IsUnknownFloor(*floor)) co_return;  // a rewind has raised it meanwhile
  const pb::PoolerPosition& position = leader->consensus_status().current_position();
  const auto number = multigres::consensus::HighestRuleNumber(position.position());
  if (multigres::consensus::Compare(number, promises_->highest_followed()) < 0) co_return;
  auto stored = promises_->StoreRecruitFloor(multigres::consensus::Numbers(position));
  if (!stored) logger_.Warn("recruit floor not stored", {{"error", stored.error()}});
}

}  // namespace multigres::pooler::manager
