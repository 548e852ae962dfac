// The manager's status message, from memory.
#include "common/consensus/durability.h"
#include "common/consensus/lsn.h"
#include "common/consensus/member.h"
#include "services/multipooler/manager/manager.h"

namespace multigres::pooler::manager {

namespace pb = ::clustermetadata;
namespace data = ::multipoolermanagerdata;
using multigres::consensus::LsnText;

namespace {

template <class Message>
void SetTime(Message& to, std::int64_t unix_ns) {
  to.set_seconds(unix_ns / 1000000000);
  to.set_nanos(static_cast<std::int32_t>(unix_ns % 1000000000));
}

template <class Message>
void SetDuration(Message& to, Duration duration) {
  SetTime(to, duration.count());
}

// The parts of a conninfo that we write ourselves: key='value', quotes and backslashes escaped.
void ParseConninfo(const std::string& text, data::PrimaryConnInfo& info) {
  info.set_raw(text);
  std::size_t at = 0;
  while (at < text.size()) {
    const auto equals = text.find('=', at);
    if (equals == std::string::npos) return;
    const std::string key = text.substr(at, equals - at);
    std::string value;
    at = equals + 1;
    const bool quoted = at < text.size() && text[at] == '\'';
    if (quoted) ++at;
    for (; at < text.size() && text[at] != (quoted ? '\'' : ' '); ++at) {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;
      value.push_back(text[at]);
    }
    if (quoted) ++at;
    while (at < text.size() && text[at] == ' ') ++at;
    if (key == "host") info.set_host(value);
    if (key == "port") info.set_port(std::atoi(value.c_str()));
    if (key == "user") info.set_user(value);
    if (key == "application_name") info.set_application_name(value);
    if (key == "passfile") info.set_passfile(value);
    if (key == "dbname") info.set_dbname(value);
  }
}

void FillStandby(const replication::ServerState& server, data::StandbyReplicationStatus& status) {
  if (server.replay_lsn) status.set_last_replay_lsn(LsnText(*server.replay_lsn));
  if (server.receive_lsn) status.set_last_receive_lsn(LsnText(*server.receive_lsn));
  status.set_is_wal_replay_paused(server.replay_paused);
  status.set_wal_replay_pause_state(server.replay_pause_state);
  status.set_last_xact_replay_timestamp(server.last_xact_replay_timestamp);
  if (!server.primary_conninfo.empty()) ParseConninfo(server.primary_conninfo, *status.mutable_primary_conn_info());
  status.set_wal_receiver_status(server.receiver_status);
  if (server.receiver_last_message_unix_us) {
    SetTime(*status.mutable_last_msg_receive_time(), *server.receiver_last_message_unix_us * 1000);
  }
  SetDuration(*status.mutable_wal_receiver_status_interval(), std::chrono::seconds(server.receiver_status_interval_s));
  SetDuration(*status.mutable_wal_receiver_timeout(), std::chrono::milliseconds(server.receiver_timeout_ms));
}

data::SynchronousCommitLevel CommitLevel(const std::string& text) {
  if (text == "off") return data::SYNCHRONOUS_COMMIT_OFF;
  if (text == "local") return data::SYNCHRONOUS_COMMIT_LOCAL;
  if (text == "remote_write") return data::SYNCHRONOUS_COMMIT_REMOTE_WRITE;
  if (text == "remote_apply") return data::SYNCHRONOUS_COMMIT_REMOTE_APPLY;
  return data::SYNCHRONOUS_COMMIT_ON;
}

// ANY 1 ("zone1_a", "zone2_b"), as SyncStandbys::Text() writes it.
void FillSync(const replication::ServerState& server, data::SynchronousReplicationConfiguration& sync) {
  sync.set_synchronous_commit(CommitLevel(server.synchronous_commit));
  const std::string& text = server.synchronous_standby_names;
  if (text.starts_with("ANY ")) {
    sync.set_synchronous_method(data::SYNCHRONOUS_METHOD_ANY);
    sync.set_num_sync(std::atoi(text.c_str() + 4));
  } else if (text.starts_with("FIRST ")) {
    sync.set_synchronous_method(data::SYNCHRONOUS_METHOD_FIRST);
    sync.set_num_sync(std::atoi(text.c_str() + 6));
  }
  for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at)) {
    const auto end = text.find('"', at + 1);
    if (end == std::string::npos) return;
    const std::string name = text.substr(at + 1, end - at - 1);
    sync.add_standby_application_names(name);
    if (auto id = multigres::consensus::ParseMember(name)) *sync.add_standby_ids() = *id;
    at = end + 1;
  }
}

void FillPrimary(const replication::ServerState& server, data::PrimaryStatus& status) {
  if (server.lsn) status.set_lsn(LsnText(*server.lsn));
  status.set_ready(true);
  status.set_max_wal_senders(server.max_wal_senders);
  for (const std::string& name : server.connected_followers) {
    if (auto id = multigres::consensus::ParseMember(name)) *status.add_connected_followers() = *id;
  }
  FillSync(server, *status.mutable_sync_replication_config());
}

}  // namespace

std::shared_ptr<data::StatusResponse> PoolerManager::BuildStatus() const {
  auto response = std::make_shared<data::StatusResponse>();
  data::Status& status = *response->mutable_status();
  if (agent_) {
    *response->mutable_consensus_status() = agent_->Status();
    *response->mutable_availability_status() = agent_->Availability();
  }
  const bool writable = agent_ && agent_->IsWritableLeader();
  status.set_pooler_type(writable ? pb::PRIMARY : pb::REPLICA);
  status.set_shard_id(config_.shard.shard());
  const bool bootstrapping = bootstrap_ && bootstrap_->WasInterrupted();
  status.set_has_data_directory(initialized_ || bootstrapping);
  status.set_postgres_running(process_alive_);
  status.set_postgres_ready(Answering());
  if (last_answer_) SetTime(*status.mutable_last_answer_time(), last_answer_->time_since_epoch().count());
  if (last_heartbeat_write_) {
    SetTime(*status.mutable_last_heartbeat_write_time(), last_heartbeat_write_->time_since_epoch().count());
  }
  status.set_is_initialized(initialized_ && state_.server && state_.bootstrapped && !bootstrapping);
  status.set_wal_position(state_.position.lsn());
  status.set_postgres_action(postgres_action_);
  if (postgres_action_ != data::POSTGRES_ACTION_UNSPECIFIED) {
    SetDuration(*status.mutable_postgres_action_duration(), reactor_.clock().Now() - postgres_action_since_);
  }
  if (state_.promoting) {
    status.set_postgres_status(data::POSTGRES_STATUS_PROMOTING);
  } else if (process_alive_ && !state_.server) {
    status.set_postgres_status(data::POSTGRES_STATUS_STARTING);
  }
  if (!state_.server) return response;
  const replication::ServerState& server = *state_.server;
  status.set_system_identifier(server.system_identifier);
  if (!state_.promoting) {
    status.set_postgres_status(server.in_recovery ? data::POSTGRES_STATUS_STANDBY : data::POSTGRES_STATUS_PRIMARY);
  }
  if (!server.in_recovery) {
    FillPrimary(server, *status.mutable_primary_status());
    return response;
  }
  data::StandbyReplicationStatus& standby = *status.mutable_replication_status();
  FillStandby(server, standby);
  SetDuration(*standby.mutable_lag(), Duration(heartbeat_.lag_ns()));
  if (receive_lsn_advanced_at_) {
    SetTime(*standby.mutable_last_receive_lsn_advance_time(), receive_lsn_advanced_at_->time_since_epoch().count());
  }
  if (heartbeat_.advanced_at()) {
    SetTime(*standby.mutable_leader_heartbeat_advanced_at(), heartbeat_.advanced_at()->time_since_epoch().count());
  }
  return response;
}

}  // namespace multigres::pooler::manager
