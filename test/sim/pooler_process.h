// A pooler process: the real manager, with its agent and monitor, over its host's twins.
#pragma once

#include "common/topoclient/memorytopo/memory_topo.h"
#include "services/multipooler/manager/manager.h"
#include "test/sim/judge.h"
#include "test/sim/postgres_access.h"
#include "test/sim/rule_judge.h"
#include "tools/fs/memory_disk.h"

namespace multigres::sim {

class Host;
class Cluster;

// Admits clients' writes as the manager says.
class SimDataPath final : public pooler::manager::DataPath {
 public:
  SimDataPath(Host& host, PostgresAccess& access) : host_(host), access_(access) {}

  Awaitable<void> Apply(pooler::manager::ServingState state) override;
  Awaitable<DrainResult> Drain(pooler::manager::ServingState state, Deadline deadline) override;
  Awaitable<void> Reopen() override { co_return; }
  Duration drain_grace() const override { return std::chrono::seconds(3); }

  bool AdmitsWrites() const;
  // True once it is acknowledged; an error tells whether it may have happened.
  Awaitable<Result<>> Write(Deadline deadline);
  // The process ends.
  void Close() { Switch({}); }

 private:
  void Switch(pooler::manager::ServingState state);

  Host& host_;
  PostgresAccess& access_;
  pooler::manager::ServingState state_;
  std::list<std::shared_ptr<MemoryPostgres::Commit>> open_;
};

class SimPeers final : public pooler::manager::Peers {
 public:
  SimPeers(Cluster& cluster, Host& self);
  Awaitable<Result<std::vector<pooler::manager::Peer>>> Survey(Deadline deadline) override;
  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> StatusOf(::clustermetadata::ID id,
                                                                       Deadline deadline) override;
  TaskGroup& tasks() { return tasks_; }

 private:
  Cluster& cluster_;
  Host& self_;
  TaskGroup tasks_;
};

// The host's disk as one process writes to it.
class ProcessDisk final : public fs::Disk {
 public:
  ProcessDisk(fs::MemoryDisk& disk, const PostgresAccess& access) : disk_(disk), access_(access) {}
  bool Exists(const std::string& path) const override { return disk_.Exists(path); }
  Result<std::string> Read(const std::string& path) const override { return disk_.Read(path); }
  Result<> Write(const std::string& path, std::string_view content, mode_t mode) override;
  Result<> Remove(const std::string& path) override;
  Result<> MakeDirectories(const std::string& /*path*/, mode_t /*mode*/) override { return {}; }

 private:
  fs::MemoryDisk& disk_;
  const PostgresAccess& access_;
};

class PoolerProcess {
 public:
  PoolerProcess(Cluster& cluster, Host& host);
  ~PoolerProcess();

  void Start();
  // kill -9: whatever it does from now on has no effect. over() once its remains are gone.
  void Kill();
  // SIGTERM: ends in order by itself.
  void Terminate();
  bool over() const { return over_; }
  // It couldn't start: its supervisor tries again.
  bool refused() const { return refused_; }
  bool leaving() const { return leaving_; }

  bool Serves() const { return !leaving_ && manager_->ready(); }
  pooler::manager::PoolerManager& manager() { return *manager_; }
  SimDataPath& data_path() { return data_path_; }
  // Where requests are worked on.
  TaskGroup& calls() { return calls_; }
  bool Quiet() { return over_ && calls_.size() + life_.size() + end_.size() + peers_.tasks().size() == 0; }
  PostgresAccess& access() { return access_; }
  Host& host() { return host_; }

 private:
  Awaitable<void> Run();
  Awaitable<void> End(bool leaving);

  Host& host_;
  PostgresAccess access_;
  ProcessDisk disk_;
  SimDataPath data_path_;
  SimPeers peers_;
  std::unique_ptr<pooler::manager::PoolerManager> manager_;
  bool leaving_ = false;
  bool over_ = false;
  bool refused_ = false;
  TaskGroup calls_;
  TaskGroup life_;
  TaskGroup end_;
};

}  // namespace multigres::sim
