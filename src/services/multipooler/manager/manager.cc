#include "services/multipooler/manager/manager.h"

#include "common/consensus/lsn.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "services/multipooler/replication/standby_control.h"
#include "tools/fs/file.h"

namespace multigres::pooler::manager {

namespace pb = ::clustermetadata;
namespace data = ::multipoolermanagerdata;
using multigres::consensus::HighestRule;
using multigres::consensus::MemberText;
using multigres::consensus::SameMember;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kFirstRejoinBackoff = seconds(5);
constexpr Duration kDemotionDrain = seconds(5);
constexpr Duration kFreshTimeout = seconds(5);
constexpr Duration kFreshLockWait = seconds(1);
constexpr Duration kHeartbeatTimeout = seconds(5);

// .pgpass (manual, "The Password File"): ':' and '\' are escaped.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ':' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

}  // namespace

PoolerManager::PoolerManager(ManagerConfig config, Seams seams, Logger logger)
    : config_(std::move(config)),
      reactor_(seams.reactor),
      store_(seams.store),
      process_(seams.process),
      peers_(seams.peers),
      logger_(std::move(logger)),
      sessions_(seams.reactor, config_.admin),
      serving_(seams.reactor, seams.data_path),
      heartbeat_(sessions_),
      rejoin_backoff_(kFirstRejoinBackoff),
      tasks_(seams.reactor.executor()) {
  state_.self = config_.id;
  *state_.address.mutable_id() = config_.id;
  state_.address.set_host(config_.hostname);
  state_.address.set_postgres_port(config_.pg_port);
  pb::MultiPooler record;
  *record.mutable_id() = config_.id;
  *record.mutable_shard_key() = config_.shard;
  record.set_hostname(config_.hostname);
  record.set_pooler_dir(config_.pooler_dir);
  record.set_pg_data_dir(config_.data_dir);
  (*record.mutable_port_map())["grpc"] = config_.grpc_port;
  (*record.mutable_port_map())["http"] = config_.http_port;
  (*record.mutable_port_map())["postgres"] = config_.pg_port;
  publisher_ = std::make_unique<topo::PoolerPublisher>(store_, std::move(record));
}

PoolerManager::~PoolerManager() = default;

Result<> PoolerManager::WritePassfile() const {
  const std::string line = fmt::format("*:*:*:{}:{}\n", Escaped(config_.admin.user), Escaped(config_.admin.password));
  return fs::WriteFileAtomic(config_.pooler_dir + "/pgpass", line, 0600);
}

Awaitable<Result<>> PoolerManager::Start() {
  auto member = multigres::consensus::CheckedMemberText(config_.id);
  if (!member) co_return std::unexpected(std::move(member.error()));
  if (auto made = fs::MakeDirectories(config_.pooler_dir, 0700); !made) co_return made;
  auto promises = consensus::PromiseStore::Open(config_.pooler_dir, config_.data_dir);
  if (!promises) co_return std::unexpected(std::move(promises.error()));
  promises_ = std::move(*promises);
  if (auto written = WritePassfile(); !written) co_return written;
  consensus::AgentOptions options{.data_dir = config_.data_dir,
                                  .pooler_dir = config_.pooler_dir,
                                  .user = config_.admin.user,
                                  .passfile = config_.pooler_dir + "/pgpass"};
  agent_ = std::make_unique<consensus::Agent>(
      std::move(options), state_, consensus::Agent::Seams{sessions_, process_, *promises_, action_lock_, *this},
      logger_);
  bootstrap_ =
      std::make_unique<Bootstrap>(config_, Bootstrap::Seams{store_, peers_, sessions_, process_, *promises_}, logger_);
  ready_ = true;
  co_await PublishState();
  co_await publisher_->Start();
  logger_.Info("node.join", {{"outcome", "started"}, {"member", *member}});
  tasks_.Spawn("refresh", RefreshLoop());
  tasks_.Spawn("monitor", MonitorLoop());
  tasks_.Spawn("heartbeat", HeartbeatLoop());
  co_return Result<>();
}

Awaitable<void> PoolerManager::Stop() {
  if (!ready_) co_return;
  logger_.Info("node.drain", {{"outcome", "started"}});
  stopping_ = true;
  restarts_enabled_ = false;
  // The loops hold no lock that outlives them.
  co_await tasks_.CancelAndJoin();
  PublishTopology();
  ServingState state = serving_.state();
  state.status = ServingStatus::kDisabled;
  auto drained = co_await serving_.Drain(state, clock().After(seconds(3)));
  state_.eligible = false;
  state_.writes_admitted = false;
  co_await PublishState();
  auto lock = co_await action_lock_.Lock(clock(), clock().After(seconds(5)), "stop");
  sessions_.DropIdle();
  auto stopped = co_await process_.Stop(seconds(10));
  if (!stopped) logger_.Warn("postgres not stopped", {{"error", stopped.error()}});
  state_.server.reset();
  process_alive_ = false;
  co_await PublishState();
  published_health_.ended = true;
  health_.Publish(published_health_);
  auto left = co_await publisher_->Stop("shutdown");
  if (!left) logger_.Warn("shutdown not published", {{"error", left.error()}});
  ready_ = false;
  logger_.Info("node.drain", {{"outcome", "success"}, {"force_closed", drained.force_closed}});
}

// --- AgentHost

Awaitable<void> PoolerManager::DrainForDemotion() {
  ServingState state = serving_.state();
  state.status = ServingStatus::kDraining;
  auto result = co_await serving_.Drain(state, clock().After(kDemotionDrain));
  if (result.force_closed != 0) logger_.Warn("reservations killed by a demotion", {{"count", result.force_closed}});
  co_await PublishState();
}

Awaitable<void> PoolerManager::OnConsensusChanged() {
  co_await PublishState();
}

Awaitable<void> PoolerManager::OnServerRestarted() {
  heartbeat_.Forget();
  not_streaming_since_.reset();
  co_await serving_.Reopen();
  co_await PublishState();
}

// --- state

ServingState PoolerManager::WantedServing() const {
  ServingState state;
  const pb::RuleNumber& rule = state_.position.position().decision().rule_number();
  state.coordinator_term = rule.coordinator_term();
  state.leader_subterm = rule.leader_subterm();
  if (stopping_) return serving_.state();
  if (!state_.server || !state_.bootstrapped) {
    state.status = ServingStatus::kDraining;
    return state;
  }
  const bool writable = agent_->IsWritableLeader();
  state.role = writable ? RoutingRole::kPrimary : RoutingRole::kReplica;
  const bool serves = writable || (state_.server->in_recovery && !state_.suspected_divergence && !state_.promoting);
  state.status = serves ? ServingStatus::kServing : ServingStatus::kDraining;
  return state;
}

Awaitable<void> PoolerManager::PublishState() {
  const bool writable = agent_->IsWritableLeader();
  if (writable && !was_writable_) {
    promotion_unfinished_ = true;
    WakeMonitor();
  }
  was_writable_ = writable;
  if (!stopping_) co_await serving_.Set(WantedServing());
  PublishTopology();
  auto status = BuildStatus();
  // Readings that change by themselves don't make a broadcast.
  data::StatusResponse comparable = *status;
  comparable.mutable_status()->clear_wal_position();
  comparable.mutable_status()->clear_postgres_action_duration();
  comparable.mutable_status()->mutable_primary_status()->clear_lsn();
  auto& replication = *comparable.mutable_status()->mutable_replication_status();
  for (auto* text : {replication.mutable_last_replay_lsn(), replication.mutable_last_receive_lsn(),
                     replication.mutable_last_xact_replay_timestamp()}) {
    text->clear();
  }
  replication.clear_lag();
  replication.clear_last_msg_receive_time();
  replication.clear_last_receive_lsn_advance_time();
  replication.clear_leader_heartbeat_advanced_at();
  comparable.mutable_consensus_status()->mutable_current_position()->clear_lsn();
  std::string text = comparable.SerializeAsString();
  if (text != comparable_status_) ++published_health_.changes;
  comparable_status_ = std::move(text);
  published_health_.snapshot = std::move(status);
  health_.Publish(published_health_);
}

void PoolerManager::PublishTopology() {
  pb::MultiPooler record = publisher_->wanted();
  const ServingState& serving = serving_.state();
  record.set_serving_status(static_cast<pb::PoolerServingStatus>(serving.status));
  const bool primary = serving.role == RoutingRole::kPrimary && serving.status == ServingStatus::kServing;
  record.set_type(primary ? pb::PRIMARY : pb::REPLICA);
  record.clear_routing_state();
  if (primary) {
    record.mutable_routing_state()->set_role(pb::PRIMARY);
    *record.mutable_routing_state()->mutable_rule() = state_.position.position().decision().rule_number();
  }
  const auto lifecycle = stopping_       ? pb::LIFECYCLE_STOPPING
                         : state_.server ? pb::LIFECYCLE_ACTIVE
                                         : pb::LIFECYCLE_STARTING;
  if (record.lifecycle_status().status() != lifecycle) {
    record.mutable_lifecycle_status()->set_status(lifecycle);
    record.mutable_lifecycle_status()->mutable_updated()->set_seconds(
        std::chrono::duration_cast<seconds>(clock().WallNow().time_since_epoch()).count());
  }
  publisher_->Publish(record);
}

Awaitable<void> PoolerManager::Refresh() {
  const TimePoint started = clock().Now();
  auto observed = co_await agent_->Observe(clock().After(kFreshTimeout));
  if (state_.server) {
    initialized_ = process_alive_ = true;
  } else {
    auto process = co_await process_.Status(clock().After(seconds(2)));
    if (process) {
      initialized_ = process->initialized;
      process_alive_ = process->process_alive;
    }
  }
  if (state_.server && state_.server->receive_lsn != last_receive_lsn_) {
    last_receive_lsn_ = state_.server->receive_lsn;
    receive_lsn_advanced_at_ = clock().WallNow();
  }
  if (state_.server && state_.server->in_recovery && state_.bootstrapped) {
    (void)co_await heartbeat_.Read(clock().After(seconds(2)));
  } else {
    heartbeat_.Forget();
  }
  serving_.board().SetReplicationLag(heartbeat_.lag_ns());
  last_refresh_ = started;
  co_await PublishState();
}

Awaitable<PoolerManager::Snapshot> PoolerManager::FreshStatus() {
  const TimePoint asked = clock().Now();
  if (ready_ && !stopping_) {
    auto lock = co_await action_lock_.Lock(clock(), clock().After(kFreshLockWait), "refresh");
    // Whoever waited while another looked has the answer already.
    if (lock && ready_ && !stopping_ && last_refresh_ < asked) co_await Refresh();
  }
  co_return published_health_.snapshot ? published_health_.snapshot : Snapshot(BuildStatus());
}

Awaitable<void> PoolerManager::RefreshLoop() {
  while (true) {
    // An operation in progress publishes by itself.
    if (!action_lock_.IsLocked()) {
      auto lock = co_await action_lock_.Lock(clock(), clock().After(kFreshLockWait), "refresh");
      if (lock) co_await Refresh();
    }
    co_await SleepFor(clock(), config_.refresh_interval);
  }
}

Awaitable<void> PoolerManager::HeartbeatLoop() {
  while (true) {
    co_await SleepFor(clock(), config_.heartbeat_interval);
    if (!agent_->IsWritableLeader()) continue;
    auto beat = co_await heartbeat_.Beat(MemberText(config_.id), clock().After(kHeartbeatTimeout));
    if (!beat) logger_.Warn("heartbeat not written", {{"error", beat.error()}});
  }
}

// --- RPCs

Awaitable<Result<>> PoolerManager::WaitForLsn(std::string target, Duration timeout, Deadline deadline) {
  auto lsn = multigres::consensus::ParseLsn(target);
  if (!lsn) co_return std::unexpected(std::move(lsn.error()));
  if (timeout > Duration::zero()) deadline = deadline.Earlier(clock().After(timeout));
  if (deadline.IsNever()) deadline = clock().After(seconds(60));
  co_return co_await replication::WaitForLsn(sessions_, *lsn, deadline);
}

Awaitable<Result<>> PoolerManager::StartReplication(Deadline deadline) {
  deadline = deadline.Earlier(clock().After(seconds(30)));
  auto lock = co_await action_lock_.Lock(clock(), deadline, "start replication");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  auto server = co_await replication::ReadServerState(sessions_, deadline);
  if (!server) co_return std::unexpected(std::move(server.error()));
  if (!server->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
  auto resumed = co_await replication::ResumeReplay(sessions_, deadline);
  if (!resumed) co_return resumed;
  state_.replication_stopped = false;
  state_.eligible = true;
  if (ShouldFollow() && !state_.suspected_divergence) {
    auto followed = co_await agent_->RepairConninfo(deadline);
    if (!followed) co_return followed;
  }
  co_await PublishState();
  co_return Result<>();
}

Awaitable<Result<data::StandbyReplicationStatus>> PoolerManager::StopReplication(data::ReplicationPauseMode mode,
                                                                                 bool wait, Deadline deadline) {
  deadline = deadline.Earlier(clock().After(seconds(30)));
  auto lock = co_await action_lock_.Lock(clock(), deadline, "stop replication");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  auto server = co_await replication::ReadServerState(sessions_, deadline);
  if (!server) co_return std::unexpected(std::move(server.error()));
  if (!server->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
  Result<> done;
  if (mode != data::REPLICATION_PAUSE_MODE_REPLAY_ONLY) {
    // Cohort member that receives nothing: it must not be counted on until it is started again.
    state_.replication_stopped = true;
    state_.eligible = false;
    done = co_await replication::StopReceiver(sessions_, deadline);
  }
  if (done && mode != data::REPLICATION_PAUSE_MODE_RECEIVER_ONLY) {
    done = co_await replication::PauseReplay(sessions_, wait, deadline);
  }
  co_await Refresh();
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return published_health_.snapshot->status().replication_status();
}

void PoolerManager::SetPostgresRestartsEnabled(bool enabled) {
  restarts_enabled_ = enabled;
  logger_.Info("postgres restarts switched", {{"enabled", enabled}});
  WakeMonitor();
}

Awaitable<Result<data::ReloadConfigResponse>> PoolerManager::ReloadConfig(data::ReloadConfigRequest request,
                                                                          Deadline deadline) {
  deadline = deadline.Earlier(clock().After(seconds(30)));
  data::ReloadConfigResponse response;
  // What the files say, before the server has read them. Values are compared, never returned.
  for (const auto& [name, value] : request.expected_settings()) {
    auto row = co_await sessions_.Query(
        fmt::format("SELECT f.setting = {1} OR (f.setting IS NULL AND s.reset_val = {1}), f.error, "
                    "s.context = 'postmaster' AND f.setting IS DISTINCT FROM s.setting "
                    "FROM (SELECT 1) one LEFT JOIN pg_settings s ON s.name = {0} "
                    "LEFT JOIN LATERAL (SELECT setting, error FROM pg_file_settings WHERE name = {0} "
                    "ORDER BY seqno DESC LIMIT 1) f ON true",
                    pgclient::QuoteLiteral(name), pgclient::QuoteLiteral(value)),
        deadline);
    if (!row) co_return Fail(std::move(row), "pg_file_settings");
    const auto& columns = row->rows.at(0);
    const bool matches = columns[0].value_or("f") == "t";
    const bool restart = columns[2].value_or("f") == "t";
    if (matches && restart) response.set_needs_restart(true);
    if (matches) continue;
    data::SettingMismatch& mismatch = *response.add_mismatches();
    mismatch.set_name(name);
    mismatch.set_error(columns[1].value_or("the configuration files say something else"));
    mismatch.set_requires_restart(restart);
  }
  if (response.mismatches_size() > 0) co_return response;
  auto reloaded = co_await sessions_.Query("SELECT pg_reload_conf()", deadline);
  if (!reloaded) co_return Fail(std::move(reloaded), "reload");
  co_await SleepFor(clock(), milliseconds(100));
  auto loaded =
      co_await sessions_.Scalar("SELECT (extract(epoch FROM pg_conf_load_time()) * 1000000)::bigint", deadline);
  if (!loaded) co_return Fail(std::move(loaded), "reload");
  const std::int64_t loaded_us = std::strtoll(loaded->c_str(), nullptr, 10);
  response.mutable_config_load_time()->set_seconds(loaded_us / 1000000);
  response.mutable_config_load_time()->set_nanos(static_cast<std::int32_t>(loaded_us % 1000000) * 1000);
  co_return response;
}

}  // namespace multigres::pooler::manager
