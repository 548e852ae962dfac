#include "common/pgdata/postmaster_file.h"

#include <charconv>
#include <filesystem>
#include <sstream>
#include <vector>

#include "tools/fs/file.h"

namespace multigres::pgdata {

namespace {

// Line numbers of postmaster.pid (pidfile.h of PostgreSQL).
enum PidFileLine { kPid = 0, kDataDir = 1, kStartTime = 2, kPort = 3, kSocketDir = 4, kStatus = 7 };

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

// A postmaster and its children are postgres processes whose working folder is their data folder: that tells them from
// whatever else got the pid, or works there.
bool RunsOn(pid_t pid, const std::string& data_dir) {
  std::error_code error;
  const auto working = std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", pid), error);
  if (error) return false;
  const auto wanted = std::filesystem::canonical(data_dir, error);
  if (error || working != wanted) return false;
  const auto program = std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error);
  // "postgres (deleted)" after an upgrade.
  return !error && program.filename().string().starts_with("postgres");
}

std::optional<RunningPostmaster> FindPostmaster(const std::string& data_dir) {
  auto text = fs::ReadFile(data_dir + "/postmaster.pid");
  if (!text) return std::nullopt;
  std::vector<std::string> lines;
  std::istringstream stream(*text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Trimmed(line));
  if (lines.empty()) return std::nullopt;
  const auto pid = ToNumber<pid_t>(lines[kPid]);
  auto identity = IdentifyProcess(pid);
  if (pid <= 0 || !identity || !IsRunning(*identity) || !RunsOn(pid, data_dir)) return std::nullopt;
  lines.resize(std::max<std::size_t>(lines.size(), kStatus + 1));
  return RunningPostmaster{.process = std::move(*identity),
                           .started_at_unix_s = ToNumber<std::int64_t>(lines[kStartTime]),
                           .port = ToNumber<std::uint16_t>(lines[kPort]),
                           .socket_dir = lines[kSocketDir],
                           .status = lines[kStatus]};
}

}  // namespace multigres::pgdata
