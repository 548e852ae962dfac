// The pooler's manager: keeps its PostgreSQL running as the shard's rules want it, serves its role to the data path,
// tells its status, and stands in the topology.
#pragma once

#include <memory>
#include <string>

#include "common/topoclient/registration.h"
#include "multipoolermanagerdata.pb.h"
#include "services/multipooler/consensus/agent.h"
#include "services/multipooler/manager/bootstrap.h"
#include "services/multipooler/manager/config.h"
#include "services/multipooler/manager/heartbeat.h"
#include "services/multipooler/manager/monitor_decision.h"
#include "services/multipooler/manager/peers.h"
#include "services/multipooler/manager/postmaster_watch.h"
#include "services/multipooler/manager/published.h"
#include "services/multipooler/manager/serving_control.h"
#include "tools/async/mutex.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"

namespace multigres::pooler::manager {

// One reactor. Start() once; Stop() must be awaited before destruction.
class PoolerManager final : private consensus::AgentHost {
 public:
  struct Seams {
    Reactor& reactor;
    topo::Store& store;
    consensus::Postgres postgres;
    fs::Disk& disk;
    Peers& peers;
    DataPath& data_path;
    PostmasterWatch* postmaster = nullptr;  // null: the server's process can't be seen from here
  };
  PoolerManager(ManagerConfig config, Seams seams, Logger logger);
  ~PoolerManager() override;

  // Loads the promises (FAILED_PRECONDITION, DATA_LOSS: refuse to start), writes the passfile, and starts registration,
  // monitoring, heartbeat and status in the background.
  Awaitable<Result<>> Start();
  // ha.md, section 8.4: monitor stopped, drained, ineligible, PostgreSQL stopped, streams ended, SHUTDOWN in the
  // topology.
  Awaitable<void> Stop();

  const ManagerConfig& config() const { return config_; }
  Reactor& reactor() { return reactor_; }
  ServingBoard& serving() { return serving_.board(); }
  consensus::Agent& agent() { return *agent_; }
  // True from Start() to Stop(): before and after, RPCs answer UNAVAILABLE.
  bool ready() const { return ready_; }
  // For the status page: "" once registered.
  const std::string& registration_status() const { return publisher_->status(); }

  // What health streams tell: published after every change and refresh.
  using Snapshot = std::shared_ptr<const ::multipoolermanagerdata::StatusResponse>;
  struct HealthState {
    Snapshot snapshot;
    std::uint64_t changes = 0;  // grows only when something but a reading of the clock or an LSN has changed
    bool ended = false;         // this process is leaving
  };
  Published<HealthState>& health() { return health_; }
  // Asks PostgreSQL now, and returns what is known once it has answered, at the latest after 1 s.
  Awaitable<Snapshot> FreshStatus();

  // --- the RPCs that are the manager's own
  Awaitable<Result<>> WaitForLsn(std::string target, Duration timeout, Deadline deadline);
  Awaitable<Result<>> StartReplication(Deadline deadline);
  Awaitable<Result<::multipoolermanagerdata::StandbyReplicationStatus>> StopReplication(
      ::multipoolermanagerdata::ReplicationPauseMode mode, bool wait, Deadline deadline);
  void SetPostgresRestartsEnabled(bool enabled);
  Awaitable<Result<::multipoolermanagerdata::ReloadConfigResponse>> ReloadConfig(
      ::multipoolermanagerdata::ReloadConfigRequest request, Deadline deadline);

 private:
  // AgentHost
  Awaitable<void> DrainForDemotion(Duration grace) override;
  Awaitable<void> OnConsensusChanged() override;
  Awaitable<void> OnServerRestarted() override;
  void CheckpointSoon() override;
  void WakeMonitor() override { wake_monitor_.Set(); }
  void InBackground(std::string_view name, Awaitable<void> task) override { tasks_.Spawn(name, std::move(task)); }

  // manager_probe.cc: never with the action lock, so that nothing waits for a server that doesn't answer.
  Awaitable<void> ProbeLoop();
  Awaitable<void> Probe();
  Awaitable<Result<consensus::Agent::Observation>> Ask();
  Awaitable<void> ReadHeartbeat();
  void NoteAnswer();
  Awaitable<void> NoteFailure();
  Awaitable<void> FindProcess();
  Awaitable<void> ReportLoop();
  Awaitable<void> PostmasterLoop();
  Awaitable<void> OnPostmasterEnded();
  Awaitable<void> HeartbeatLoop();
  Duration Silence() const;
  // It has answered within the unready timeout, and its process is there.
  bool Answering() const;

  // manager_monitor.cc
  Awaitable<void> MonitorLoop();
  // What others are asked, and may be slow to answer: without the action lock.
  Awaitable<void> AskOthers();
  Awaitable<void> LearnWhetherCutOff();
  Awaitable<void> SettleFloor();
  Awaitable<void> LearnRewindReadiness();
  Awaitable<void> Checkpoint();
  // With the action lock held.
  Awaitable<void> Observe();
  Awaitable<void> MonitorTick();
  Awaitable<MonitorView> Look();
  Awaitable<bool> LookAtProcess();
  void WaitForOthers(Duration retry);
  void Count(MonitorAction action, bool done);
  Awaitable<Result<>> Act(MonitorAction action);
  Awaitable<Result<>> StartServer();
  Awaitable<Result<>> BootstrapStep();
  bool ShouldFollow() const;
  bool Streaming() const;

  ServingState WantedServing() const;
  // Serving state, topology and status.
  Awaitable<void> PublishState();
  // The status alone: it may change while an operation is in progress, the rest is that operation's.
  void PublishStatus();
  void PublishTopology();
  std::shared_ptr<::multipoolermanagerdata::StatusResponse> BuildStatus() const;
  Result<> WritePassfile() const;
  Awaitable<Result<>> OpenPromises();
  Result<> ForgetNothing();
  Awaitable<Result<>> CheckIdentityIsFresh();
  Clock& clock() { return reactor_.clock(); }

  const ManagerConfig config_;
  Reactor& reactor_;
  topo::Store& store_;
  consensus::Postgres postgres_;
  replication::PostgresProcess& process_;
  replication::Server& server_;
  fs::Disk& disk_;
  Peers& peers_;
  Logger logger_;

  const Duration drain_grace_;
  ServingControl serving_;
  Published<HealthState> health_;
  HealthState published_health_;
  std::string comparable_status_;
  consensus::MemberState state_;
  Mutex action_lock_;
  std::unique_ptr<consensus::PromiseStore> promises_;
  std::unique_ptr<consensus::Agent> agent_;
  std::unique_ptr<Bootstrap> bootstrap_;
  Heartbeat heartbeat_;
  std::unique_ptr<topo::PoolerPublisher> publisher_;

  bool ready_ = false;
  bool stopping_ = false;
  bool restarts_enabled_ = true;
  FailureStreak failures_;
  bool quarantined_ = false;  // until another process takes this one's place
  bool initialized_ = false;  // as pgctld said last
  bool process_alive_ = false;
  bool pgctld_answers_ = true;
  ::multipoolermanagerdata::PostgresAction postgres_action_ = {};
  TimePoint postgres_action_since_;
  bool promotion_unfinished_ = false;
  bool was_writable_ = false;
  PostmasterWatch* postmaster_;
  TimePoint answered_at_;  // a probe; or the start, or the end of an outage that was known
  std::optional<WallTime> last_answer_;
  std::optional<WallTime> last_heartbeat_write_;
  Duration probe_patience_;
  bool probing_ = false;
  TimePoint probe_began_;
  TimePoint last_probe_;  // when the last probe that has ended began
  TimePoint published_at_;
  TimePoint next_process_question_;
  Event wake_probe_;
  Event probe_ended_;
  std::optional<TimePoint> not_streaming_since_;
  bool cut_off_ = false;
  std::optional<replication::Lsn> last_receive_lsn_;
  std::optional<WallTime> receive_lsn_advanced_at_;
  TimePoint next_rejoin_;
  static constexpr Duration kFirstRejoinBackoff = std::chrono::seconds(1);
  Duration rejoin_backoff_ = kFirstRejoinBackoff;
  std::string last_waiting_;
  bool waiting_ = false;
  Duration pause_{};
  Event wake_monitor_;
  TaskGroup tasks_;
};

}  // namespace multigres::pooler::manager
