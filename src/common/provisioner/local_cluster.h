// A whole cluster on this machine: start, stop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/provisioner/cluster_plan.h"
#include "common/provisioner/layout.h"
#include "common/provisioner/supervisor_control.h"

namespace multigres::provisioner {

struct StartOptions {
  std::string pg_bin_dir;
  std::string bind_address;  // empty = loopback
  bool wait_for_bootstrap = true;
  // The command that is a supervisor for this configuration (see RunSupervisor()).
  std::vector<std::string> supervisor_command;
};

class LocalCluster {
 public:
  // `print` gets the progress, line by line.
  LocalCluster(Reactor& reactor, Random& random, ClusterConfig config, std::function<void(const std::string&)> print);

  // Brings up what isn't up, in order, and waits until SELECT 1 goes through every gateway. After an error whatever has
  // been started stays.
  Awaitable<Result<>> Start(StartOptions options);
  // Ends everything and keeps the data, or with `clean` removes that as well (never the configuration or the cipher
  // key). Warnings are printed.
  Awaitable<Result<>> Stop(bool clean);

 private:
  Awaitable<Result<>> Prepare(const StartOptions& options);
  Result<> MakeDirectories(const std::optional<ServiceUser>& user);
  Result<> CheckPorts(const std::string& bind_address);
  Awaitable<Result<>> StartTopology();
  Awaitable<Result<>> StartServices();
  static Awaitable<void> StartCell(LocalCluster& self, const CellPlan& cell, Result<>& result);
  // Hands the service to the supervisor and waits until it is ready.
  Awaitable<Result<>> StartAndWait(SupervisorClient& supervisor, const ServiceSpec& spec);
  static Awaitable<void> StartOne(LocalCluster& self, const ServiceSpec& spec, Result<>& result);
  Awaitable<Result<>> WaitForGateways();
  void PrintSummary();
  Awaitable<Result<>> StopSupervisor();
  Awaitable<Result<>> StopWithoutSupervisor();
  void RemoveEverything();

  Reactor& reactor_;
  Random& random_;
  ClusterConfig config_;
  Layout layout_;
  std::function<void(const std::string&)> print_;
  ClusterPlan plan_;
};

}  // namespace multigres::provisioner
