#include "services/multipooler/manager/manager.h"

#include "common/consensus/lsn.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/wall_time.h"
#include "common/topoclient/components.h"
#include "services/multipooler/manager/recruit_floor.h"
#include "services/multipooler/replication/standby_control.h"

namespace multigres::pooler::manager {

namespace pb = ::clustermetadata;
namespace data = ::multipoolermanagerdata;
using multigres::consensus::MemberText;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

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
      postgres_(seams.postgres),
      process_(seams.postgres.process),
      server_(seams.postgres.server),
      disk_(seams.disk),
      peers_(seams.peers),
      logger_(std::move(logger)),
      drain_grace_(seams.data_path.drain_grace()),
      serving_(seams.reactor, seams.data_path),
      heartbeat_(seams.postgres.schema, seams.reactor.clock()),
      failures_(config_.quarantine),
      postmaster_(seams.postmaster),
      answered_at_(seams.reactor.clock().Now()),
      probe_patience_(seconds(2)),
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
  return disk_.Write(config_.pooler_dir + "/pgpass", line, 0600);
}

Awaitable<Result<>> PoolerManager::OpenPromises() {
  const consensus::PromiseStore::Place place{disk_, config_.pooler_dir, postgres_.data, MemberText(config_.id)};
  auto promises = consensus::PromiseStore::Open(place);
  if (!promises && config_.fresh_identity) {
    logger_.Warn("promises lost", {{"error", promises.error()}});
    auto fresh = co_await CheckIdentityIsFresh();
    if (!fresh) co_return fresh;
    // What the data holds may have been acknowledged under the old identity: no vote before it has caught up.
    promises = consensus::PromiseStore::OpenAfresh(place, UnknownFloor());
  }
  if (!promises) co_return std::unexpected(std::move(promises.error()));
  promises_ = std::move(*promises);
  co_return ForgetNothing();
}

// Data that was put in the place of newer data may lack what this member has acknowledged: no vote before it has caught
// up. (An interrupted rewind has set its own floor, and has brought its source's mark.)
Result<> PoolerManager::ForgetNothing() {
  if (!promises_->data_was_replaced() || disk_.Exists(consensus::RewindSentinel(config_.pooler_dir))) return {};
  logger_.Warn("data directory replaced by an older or another one", {{"data_dir", config_.data_dir}});
  return promises_->StoreRecruitFloor(UnknownFloor());
}

// A cohort may count on what a member of this name has promised.
Awaitable<Result<>> PoolerManager::CheckIdentityIsFresh() {
  topo::CallContext context;
  context.deadline = clock().After(seconds(15));
  auto record = co_await topo::GetComponent<pb::MultiPooler>(store_, context, config_.id);
  if (record) {
    co_return Fail(Code::kFailedPrecondition,
                   fmt::format("--fresh-identity: {} is registered, so its promises count. Choose another --service-id",
                               MemberText(config_.id)));
  }
  if (!topo::Is(record.error(), topo::ErrorKind::kNoNode)) co_return Fail(std::move(record), "--fresh-identity");
  co_return Result<>();
}

Awaitable<Result<>> PoolerManager::Start() {
  auto member = multigres::consensus::CheckedMemberText(config_.id);
  if (!member) co_return std::unexpected(std::move(member.error()));
  if (auto made = disk_.MakeDirectories(config_.pooler_dir, 0700); !made) co_return made;
  auto promises = co_await OpenPromises();
  if (!promises) co_return promises;
  if (auto written = WritePassfile(); !written) co_return written;
  consensus::AgentOptions options{
      .pooler_dir = config_.pooler_dir, .user = config_.admin.user, .passfile = config_.pooler_dir + "/pgpass"};
  agent_ = std::make_unique<consensus::Agent>(
      std::move(options), state_, consensus::Agent::Seams{postgres_, disk_, *promises_, action_lock_, *this}, logger_);
  bootstrap_ =
      std::make_unique<Bootstrap>(config_, Bootstrap::Seams{store_, peers_, postgres_, disk_, *promises_}, logger_);
  ready_ = true;
  co_await PublishState();
  co_await publisher_->Start();
  logger_.Info("node.join", {{"outcome", "started"}, {"member", *member}});
  tasks_.Spawn("probe", ProbeLoop());
  tasks_.Spawn("report", ReportLoop());
  if (postmaster_ != nullptr) tasks_.Spawn("postmaster", PostmasterLoop());
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
  auto drained = co_await serving_.Drain(state, clock().After(drain_grace_));
  // A leader says that it leaves once its server is down: an election would cut its standbys off from the end of its
  // WAL, and it would have to be rewound.
  state_.eligible = state_.eligible && state_.server && !state_.server->in_recovery;
  state_.writes_admitted = false;
  co_await PublishState();
  auto lock = co_await action_lock_.Lock(clock(), clock().After(seconds(5)), "stop");
  server_.Disconnect();
  auto stopped = co_await process_.Stop(seconds(10));
  if (!stopped) logger_.Warn("postgres not stopped", {{"error", stopped.error()}});
  state_.eligible = false;
  state_.server.reset();
  process_alive_ = false;
  co_await PublishState();
  published_health_.ended = true;
  health_.Publish(published_health_);
  serving().End();
  auto left = co_await publisher_->Stop("shutdown");
  if (!left) logger_.Warn("shutdown not published", {{"error", left.error()}});
  ready_ = false;
  logger_.Info("node.drain", {{"outcome", "success"}, {"force_closed", drained.force_closed}});
}

// --- AgentHost

Awaitable<void> PoolerManager::DrainForDemotion(Duration grace) {
  ServingState state = serving_.state();
  state.status = ServingStatus::kDraining;
  auto result = co_await serving_.Drain(state, clock().After(grace));
  if (result.force_closed != 0) logger_.Warn("reservations killed by a demotion", {{"count", result.force_closed}});
  co_await PublishState();
}

Awaitable<void> PoolerManager::OnConsensusChanged() {
  co_await PublishState();
}

Awaitable<void> PoolerManager::OnServerRestarted() {
  heartbeat_.Forget();
  not_streaming_since_.reset();
  cut_off_ = false;
  state_.unresponsive = false;
  answered_at_ = clock().Now();
  wake_probe_.Set();
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
  PublishStatus();
}

void PoolerManager::PublishStatus() {
  auto status = BuildStatus();
  // Readings that change by themselves don't make a broadcast.
  data::StatusResponse comparable = *status;
  comparable.mutable_status()->clear_wal_position();
  comparable.mutable_status()->clear_last_answer_time();
  comparable.mutable_status()->clear_last_heartbeat_write_time();
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
  published_at_ = clock().Now();
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
                         : quarantined_  ? pb::LIFECYCLE_QUARANTINED
                         : state_.server ? pb::LIFECYCLE_ACTIVE
                                         : pb::LIFECYCLE_STARTING;
  if (record.lifecycle_status().status() != lifecycle) {
    record.mutable_lifecycle_status()->set_status(lifecycle);
    record.mutable_lifecycle_status()->set_reason(
        quarantined_ ? fmt::format("PostgreSQL can't be brought up ({} attempts)", failures_.attempts()) : "");
    record.mutable_lifecycle_status()->mutable_updated()->set_seconds(
        std::chrono::duration_cast<seconds>(clock().WallNow().time_since_epoch()).count());
  }
  publisher_->Publish(record);
}

// --- RPCs

Awaitable<Result<>> PoolerManager::WaitForLsn(std::string target, Duration timeout, Deadline deadline) {
  auto lsn = multigres::consensus::ParseLsn(target);
  if (!lsn) co_return std::unexpected(std::move(lsn.error()));
  if (timeout > Duration::zero()) deadline = deadline.Earlier(clock().After(timeout));
  if (deadline.IsNever()) deadline = clock().After(seconds(60));
  co_return co_await replication::WaitForLsn(server_, *lsn, deadline);
}

Awaitable<Result<>> PoolerManager::StartReplication(Deadline deadline) {
  deadline = deadline.Earlier(clock().After(seconds(30)));
  auto lock = co_await action_lock_.Lock(clock(), deadline, "start replication");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  auto server = co_await server_.ReadStateSoon(deadline);
  if (!server) co_return std::unexpected(std::move(server.error()));
  if (!server->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
  auto resumed = co_await replication::ResumeReplay(server_, deadline);
  if (!resumed) co_return resumed;
  state_.replication_stopped = false;
  state_.eligible = !quarantined_;
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
  auto server = co_await server_.ReadStateSoon(deadline);
  if (!server) co_return std::unexpected(std::move(server.error()));
  if (!server->in_recovery) co_return Fail(Code::kFailedPrecondition, "PostgreSQL is not a standby");
  Result<> done;
  if (mode != data::REPLICATION_PAUSE_MODE_REPLAY_ONLY) {
    // Cohort member that receives nothing: it must not be counted on until it is started again.
    state_.replication_stopped = true;
    state_.eligible = false;
    done = co_await replication::StopReceiver(server_, deadline);
  }
  if (done && mode != data::REPLICATION_PAUSE_MODE_RECEIVER_ONLY) {
    done = co_await replication::PauseReplay(server_, wait, deadline);
  }
  co_await Observe();
  co_await PublishState();
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
  const std::map<std::string, std::string> expected(request.expected_settings().begin(),
                                                    request.expected_settings().end());
  auto report = co_await server_.Reload(expected, deadline);
  if (!report) co_return std::unexpected(std::move(report.error()));
  data::ReloadConfigResponse response;
  response.set_needs_restart(report->needs_restart);
  for (const auto& found : report->mismatches) {
    data::SettingMismatch& mismatch = *response.add_mismatches();
    mismatch.set_name(found.name);
    mismatch.set_error(found.error);
    mismatch.set_requires_restart(found.requires_restart);
  }
  if (report->mismatches.empty()) {
    *response.mutable_config_load_time() = multigres::consensus::ToTimestamp(report->loaded_at);
  }
  co_return response;
}

}  // namespace multigres::pooler::manager
