// A machine of a shard's member: its clock, its disk, a PostgreSQL with its daemon, and a pooler process.
#pragma once

#include "common/topoclient/store.h"
#include "test/sim/host_clock.h"
#include "test/sim/memory_pgctld.h"
#include "test/sim/pooler_process.h"
#include "tools/async/reactor.h"

namespace multigres::sim {

class Host {
 public:
  Host(Cluster& cluster, int index, std::string member);
  ~Host();

  Cluster& cluster() { return cluster_; }

  int index() const { return index_; }
  const std::string& member() const { return member_; }
  const ::clustermetadata::ID& id() const { return id_; }
  ::clustermetadata::MultiPooler Record() const;
  // Null while it doesn't run.
  PoolerProcess* pooler() { return pooler_.get(); }
  const PoolerProcess* pooler() const { return pooler_.get(); }
  bool up() const { return pgctld_ != nullptr; }
  bool frozen() const { return frozen_; }
  const std::shared_ptr<MemoryPgctld>& pgctld() const { return pgctld_; }

  void Boot();
  void StartPooler();
  void KillPooler();
  // kill -9 of everything; with `power_lost` what isn't synced is gone.
  void Crash(bool power_lost);
  // The pooler's process stands still.
  void SetFrozen(bool frozen) { frozen_ = frozen; }
  // For good: its volumes are lost.
  void Retire();
  bool retired() const { return retired_; }
  // A rewind has begun and isn't over.
  bool InRewind() const { return postgres.disk().half_rewound || disk.Exists("/pooler/.multigres-rewind-in-progress"); }

  // True if anything ran.
  bool RunTurn();
  // Nothing of dead processes is left.
  bool Quiet() const { return dead_.empty() && dying_pgctld_.empty(); }

  HostClock clock;
  Reactor os;                      // of pgctld
  Reactor reactor;                 // of the pooler
  std::uint64_t told_changes = 0;  // of the health that orchestrators were told
  fs::MemoryDisk disk;
  MemoryPostgres postgres;
  std::unique_ptr<Random> random;
  std::unique_ptr<topo::Store> store;

 private:
  void Bury();
  void Supervise();

  Cluster& cluster_;
  const int index_;
  const std::string member_;
  ::clustermetadata::ID id_;
  bool frozen_ = false;
  std::optional<TimePoint> retry_at_;
  bool retired_ = false;
  bool left_ = false;         // in order: its record says SHUTDOWN
  bool start_again_ = false;  // once it has left
  std::shared_ptr<MemoryPgctld> pgctld_;
  std::vector<std::shared_ptr<MemoryPgctld>> dying_pgctld_;
  std::unique_ptr<PoolerProcess> pooler_;
  std::vector<std::unique_ptr<PoolerProcess>> dead_;
};

}  // namespace multigres::sim
