#include "services/pgctld/data_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "tools/fs/file.h"

namespace multigres::pgctld {

namespace {

constexpr mode_t kOthersMask = 0077;

template <class Number>
Number ToNumber(std::string_view text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

}  // namespace

bool DataDirectory::IsInitialized() const {
  return fs::Exists(path_ + "/PG_VERSION");
}

Result<> DataDirectory::RequireInitialized() const {
  if (IsInitialized()) return {};
  return Fail(Code::kFailedPrecondition,
              fmt::format("data directory not initialized: {} has no PG_VERSION. Run 'pgctld init' first", path_));
}

Result<> DataDirectory::CheckOwnership() const {
  struct stat info{};
  if (::stat(path_.c_str(), &info) != 0)
    return Fail(Code::kNotFound, fmt::format("data directory {} not found", path_));
  if (info.st_uid != ::geteuid()) {
    return Fail(Code::kFailedPrecondition, fmt::format("data directory {} belongs to uid {}, but this is uid {}", path_,
                                                       info.st_uid, ::geteuid()));
  }
  if ((info.st_mode & kOthersMask) != 0) {
    return Fail(
        Code::kFailedPrecondition,
        fmt::format("data directory {} is open to others (mode {:o}): chmod it to 0700", path_, info.st_mode & 07777));
  }
  return {};
}

std::optional<RunningPostmaster> DataDirectory::FindPostmaster() const {
  return pgdata::FindPostmaster(path_);
}

std::vector<ProcessIdentity> DataDirectory::FindProcesses() const {
  std::vector<ProcessIdentity> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto pid = ToNumber<pid_t>(entry.path().filename().string());
    if (pid <= 0 || !pgdata::RunsOn(pid, path_)) continue;
    auto identity = IdentifyProcess(pid);
    if (identity && IsRunning(*identity)) found.push_back(std::move(*identity));
  }
  return found;
}

Result<> DataDirectory::RemoveStalePidFile() const {
  if (!fs::Exists(path_ + "/postmaster.pid") || !FindProcesses().empty()) return {};
  auto removed = fs::RemoveFile(path_ + "/postmaster.pid");
  if (!removed) return std::unexpected(std::move(removed.error()));
  return {};
}

bool DataDirectory::HasStandbySignal() const {
  return fs::Exists(path_ + "/standby.signal");
}

Result<> DataDirectory::CreateStandbySignal() const {
  auto removed = fs::RemoveFile(path_ + "/recovery.signal");
  if (!removed) return std::unexpected(std::move(removed.error()));
  if (HasStandbySignal()) return {};
  return fs::WriteFileAtomic(path_ + "/standby.signal", "", 0600);
}

Result<> DataDirectory::RemoveSignalFiles() const {
  for (const char* name : {"/standby.signal", "/recovery.signal"}) {
    auto removed = fs::RemoveFile(path_ + name);
    if (!removed) return std::unexpected(std::move(removed.error()));
  }
  return fs::SyncDirectory(path_);
}

std::string ControlDataField(std::string_view output, std::string_view name) {
  std::size_t at = 0;
  while (at < output.size()) {
    const auto end = std::min(output.find('\n', at), output.size());
    const auto line = output.substr(at, end - at);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(":")) {
      return Trimmed(line.substr(name.size() + 1));
    }
    at = end + 1;
  }
  return {};
}

bool IsCleanState(std::string_view cluster_state) {
  return cluster_state == "shut down" || cluster_state == "shut down in recovery";
}

}  // namespace multigres::pgctld
