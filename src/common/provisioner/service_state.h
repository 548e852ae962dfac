// What is known of a service that was started: the file state/<service>_<id>.json.
#pragma once

#include <string>
#include <vector>

#include "common/provisioner/service_spec.h"
#include "tools/clock/clock.h"
#include "tools/process/process_identity.h"

namespace multigres::provisioner {

struct ServiceState {
  ServiceSpec spec;
  // The process that was started last; its pid may be another's by now (see IsRunning()).
  ProcessIdentity process;
  std::string started_at;  // RFC 3339, UTC
  int restarts = 0;
  std::string last_exit;        // "exit code 1"; empty = it has never ended
  std::string last_restart_at;  // RFC 3339; empty = never

  bool IsRunning() const { return process.pid > 0 && multigres::IsRunning(process); }
};

// Atomic: readers see the old state or the new one.
Result<> WriteServiceState(const ServiceState& state);
Result<ServiceState> ReadServiceState(const std::string& path);
// All below `state_dir` (folders included, supervisor.json excluded), in the order of their paths. One that can't be
// read is left out and named in `problems`.
std::vector<ServiceState> ReadServiceStates(const std::string& state_dir, std::vector<std::string>* problems);

std::string Rfc3339(WallTime time);

}  // namespace multigres::provisioner
