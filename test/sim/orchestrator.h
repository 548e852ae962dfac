// An orchestrator's machine: the real engine and coordinator over the simulated network.
#pragma once

#include "services/multiorch/recovery/engine.h"
#include "test/sim/host_clock.h"
#include "tools/async/reactor.h"

namespace multigres::sim {

class Cluster;
class Host;

class Orchestrator {
 public:
  // `rank`: its place among the orchestrators, 0 = first.
  Orchestrator(Cluster& cluster, int index, int rank, std::string name);
  ~Orchestrator();

  int index() const { return index_; }
  int rank() const { return rank_; }
  const std::string& name() const { return name_; }
  bool running() const { return process_ != nullptr; }
  void Start();
  void Kill();
  void SetFrozen(bool frozen) { frozen_ = frozen; }
  bool RunTurn();
  bool Quiet() const { return dead_.empty(); }

  // A health stream's message arrives, or its end.
  using Status = std::shared_ptr<const ::multipoolermanagerdata::StatusResponse>;
  void Hear(const std::string& member, const Status& status, WallTime captured_at);
  void LoseStream(const std::string& member);
  void LearnOf(const Host& host);
  // For how long nothing came from the member (0 = not connected).
  void CheckStream(const std::string& member, TimePoint now);

  HostClock clock;
  Reactor reactor;

 private:
  struct Process;
  void Bury();

  Cluster& cluster_;
  const int index_;
  const int rank_;
  const std::string name_;
  bool frozen_ = false;
  int starts_ = 0;
  std::unique_ptr<Process> process_;
  std::vector<std::unique_ptr<Process>> dead_;
};

}  // namespace multigres::sim
