#include "common/provisioner/service_state.h"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "common/provisioner/spec_json.h"
#include "tools/fs/file.h"

namespace multigres::provisioner {

std::string Rfc3339(WallTime time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

Result<> WriteServiceState(const ServiceState& state) {
  const ServiceSpec& spec = state.spec;
  nlohmann::ordered_json json = {
      {"id", spec.id},
      {"service", spec.service},
      {"pid", state.process.pid},
      {"binary-path", spec.argv.empty() ? "" : spec.argv.front()},
  };
  if (!spec.data_dir.empty()) json["data-dir"] = spec.data_dir;
  json["log-file"] = spec.log_file;
  json["ports"] = spec.ports;
  json["fqdn"] = "localhost";
  json["runtime"] = "local";
  json["started-at"] = state.started_at;
  json["restarts"] = state.restarts;
  if (!state.last_exit.empty()) json["last-exit"] = state.last_exit;
  if (!state.last_restart_at.empty()) json["last-restart-at"] = state.last_restart_at;
  json["metadata"] = nlohmann::ordered_json::object();
  if (!spec.cell.empty()) json["metadata"]["cell"] = spec.cell;
  json["process"] = state.process.started;
  json["spec"] = SpecToJson(spec);
  if (auto made = fs::MakeDirectories(std::filesystem::path(spec.state_file).parent_path().string()); !made) {
    return made;
  }
  return fs::WriteFileAtomic(spec.state_file, json.dump(2) + "\n");
}

Result<ServiceState> ReadServiceState(const std::string& path) {
  auto text = fs::ReadFile(path);
  if (!text) return std::unexpected(std::move(text.error()));
  const auto json = nlohmann::ordered_json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("spec")) {
    return Fail(Code::kInvalidArgument, fmt::format("{} is not a service's state", path));
  }
  auto spec = SpecFromJson(json.at("spec"));
  if (!spec) return Fail(std::move(spec), path);
  try {
    ServiceState state;
    state.spec = std::move(*spec);
    state.process.pid = json.at("pid").get<pid_t>();
    state.process.started = json.at("process").get<std::string>();
    state.started_at = json.value("started-at", "");
    state.restarts = json.value("restarts", 0);
    state.last_exit = json.value("last-exit", "");
    state.last_restart_at = json.value("last-restart-at", "");
    return state;
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: {}", path, error.what()));
  }
}

std::vector<ServiceState> ReadServiceStates(const std::string& state_dir, std::vector<std::string>* problems) {
  std::vector<std::string> paths;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator(state_dir, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    const auto& path = it->path();
    if (path.extension() == ".json" && path.filename() != "supervisor.json") paths.push_back(path.string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<ServiceState> states;
  for (const std::string& path : paths) {
    auto state = ReadServiceState(path);
    if (state) {
      states.push_back(std::move(*state));
    } else if (problems != nullptr) {
      problems->push_back(state.error().message());
    }
  }
  return states;
}

}  // namespace multigres::provisioner
