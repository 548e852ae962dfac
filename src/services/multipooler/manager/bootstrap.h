// How a pooler without a data directory gets one (ha.md, section 7.6): one member of the shard, ever, runs initdb; all
// others copy.
#pragma once

#include <string>

#include "services/multipooler/consensus/postgres.h"
#include "services/multipooler/consensus/promise_store.h"
#include "services/multipooler/manager/config.h"
#include "services/multipooler/manager/peers.h"
#include "tools/log/logger.h"

namespace multigres::pooler::manager {

class Bootstrap {
 public:
  struct Seams {
    topo::Store& store;
    Peers& peers;
    consensus::Postgres postgres;
    fs::Disk& disk;
    consensus::PromiseStore& promises;
  };
  Bootstrap(const ManagerConfig& config, Seams seams, Logger logger);

  // An attempt was interrupted: PGDATA is not to be trusted.
  bool WasInterrupted() const;

  struct Progress {
    bool done = false;
    std::string waiting_for;  // why not, if nothing failed
  };
  // One step towards a data directory: clean up what was interrupted, copy from an initialised live member, or, if
  // there can't be one and the lease is ours, initialise. With the action lock held. Ends with a running standby.
  Awaitable<Result<Progress>> Step();

 private:
  Awaitable<Result<>> CleanUp();
  Awaitable<Result<Progress>> Seed(const Peer& source);
  Awaitable<Result<>> RaiseFloor(const Peer& source);
  // Empty if nothing speaks against initdb.
  Awaitable<Result<std::string>> WhyNotInitialize(const std::vector<Peer>& peers);
  Awaitable<Result<Progress>> InitializeUnderLease();
  // `lease_lost`: somebody else may have begun; what was made is then not kept.
  Awaitable<Result<>> Initialize(::clustermetadata::DurabilityPolicy policy, const Event& lease_lost);
  Result<> SetSentinel();
  Result<> RemoveSentinel();
  std::string Sentinel() const { return config_.pooler_dir + "/.multigres-bootstrap-in-progress"; }
  Clock& clock() { return postgres_.server.clock(); }

  const ManagerConfig& config_;
  topo::Store& store_;
  Peers& peers_;
  consensus::Postgres postgres_;
  fs::Disk& disk_;
  consensus::PromiseStore& promises_;
  Logger logger_;
};

}  // namespace multigres::pooler::manager
