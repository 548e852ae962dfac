#include "common/provisioner/cluster_status.h"

#include <algorithm>

#include "common/provisioner/cluster_plan.h"
#include "common/provisioner/service_state.h"
#include "common/provisioner/supervisor_process.h"

namespace multigres::provisioner {

std::string_view ClusterStatus::Verdict() const {
  const auto running = static_cast<std::size_t>(std::ranges::count_if(services, &ServiceStatus::running));
  if (running == services.size() && supervisor) return "Running";
  return running == 0 && !supervisor ? "Stopped" : "Degraded";
}

ClusterStatus ReadClusterStatus(const ClusterConfig& config) {
  const Layout layout(config);
  ClusterStatus status;
  if (auto supervisor = ReadSupervisorState(layout); supervisor && IsRunning(supervisor->process)) {
    status.supervisor = supervisor->process.pid;
  }
  // Where the programs are doesn't matter here.
  Programs programs;
  for (const std::string_view name : kServicePrograms) programs.services[std::string(name)] = std::string(name);
  const ClusterPlan plan = MakeClusterPlan(config, programs, {});
  for (const ServiceSpec* spec : plan.All()) {
    ServiceStatus line;
    line.service = spec->service;
    line.cell = spec->cell;
    line.id = spec->id;
    for (const auto& [name, port] : spec->ports) line.ports.push_back(port);
    if (auto state = ReadServiceState(spec->state_file)) {
      line.running = state->IsRunning();
      line.pid = state->process.pid;
      line.restarts = state->restarts;
      line.last_exit = state->last_exit;
      line.last_restart_at = state->last_restart_at;
    }
    status.services.push_back(std::move(line));
  }
  return status;
}

std::string Render(const ClusterStatus& status) {
  std::vector<std::array<std::string, 8>> rows = {
      {"SERVICE", "CELL", "ID", "STATUS", "PID", "RESTARTS", "PORTS", "LAST EXIT"}};
  for (const ServiceStatus& service : status.services) {
    std::string last_exit = service.last_exit;
    if (!service.last_restart_at.empty()) last_exit += fmt::format(", started again {}", service.last_restart_at);
    rows.push_back({service.service, service.cell.empty() ? "-" : service.cell, service.id,
                    service.running ? "running" : "stopped", service.running ? std::to_string(service.pid) : "-",
                    std::to_string(service.restarts), fmt::format("{}", fmt::join(service.ports, ",")),
                    last_exit.empty() ? "-" : last_exit});
  }
  std::array<std::size_t, 8> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text = fmt::format("Cluster status: {}\n", status.Verdict());
  if (status.supervisor) {
    text += fmt::format("Supervisor: running (PID {})\n\n", *status.supervisor);
  } else if (status.Verdict() == "Degraded") {
    text += "Supervisor: not running; `multigres cluster start` starts one, which takes over what runs\n\n";
  } else {
    text += "Supervisor: not running\n\n";
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  }
  return text;
}

}  // namespace multigres::provisioner
