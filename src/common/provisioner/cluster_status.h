// What `cluster status` says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/provisioner/layout.h"

namespace multigres::provisioner {

struct ServiceStatus {
  std::string service;
  std::string cell;
  std::string id;
  bool running = false;
  pid_t pid = 0;
  int restarts = 0;
  std::vector<std::uint16_t> ports;
  std::string last_exit;
  std::string last_restart_at;
};

struct ClusterStatus {
  std::vector<ServiceStatus> services;
  std::optional<pid_t> supervisor;  // nothing: none runs

  // Running: the supervisor and every service. Stopped: none of them.
  std::string_view Verdict() const;
};

// From the state files and /proc. Services that the configuration has and that were never started are listed as
// stopped.
ClusterStatus ReadClusterStatus(const ClusterConfig& config);
// "Cluster status: Running", then a line for each service.
std::string Render(const ClusterStatus& status);

}  // namespace multigres::provisioner
