#include "tools/process/process_identity.h"

#include <dirent.h>
#include <signal.h>

#include <charconv>
#include <fstream>
#include <sstream>

namespace multigres {

namespace {

std::string ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

const std::string& BootId() {
  static const std::string id = [] {
    std::string text = ReadSmallFile("/proc/sys/kernel/random/boot_id");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }();
  return id;
}

struct Stat {
  char state = 0;
  pid_t parent = 0;
  std::string start_ticks;
};

// proc(5), /proc/pid/stat: the command name may hold anything, so fields are counted from the last ')'.
bool ReadStat(pid_t pid, Stat& stat) {
  const std::string text = ReadSmallFile("/proc/" + std::to_string(pid) + "/stat");
  const auto end = text.rfind(')');
  if (end == std::string::npos) return false;
  std::istringstream fields(text.substr(end + 1));
  std::string field;
  for (int number = 3; fields >> field; ++number) {
    if (number == 3) stat.state = field[0];
    if (number == 4) stat.parent = static_cast<pid_t>(std::stol(field));
    if (number == 22) {
      stat.start_ticks = field;
      return true;
    }
  }
  return false;
}

}  // namespace

Result<ProcessIdentity> IdentifyProcess(pid_t pid) {
  Stat stat;
  if (pid <= 0 || !ReadStat(pid, stat)) return Fail(Code::kNotFound, "no process " + std::to_string(pid));
  return ProcessIdentity{.pid = pid, .started = BootId() + ":" + stat.start_ticks};
}

bool IsRunning(const ProcessIdentity& identity) {
  Stat stat;
  if (identity.pid <= 0 || !ReadStat(identity.pid, stat)) return false;
  return stat.state != 'Z' && stat.state != 'X' && BootId() + ":" + stat.start_ticks == identity.started;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return children;
  while (const dirent* entry = readdir(proc)) {
    const std::string_view name = entry->d_name;
    pid_t candidate = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), candidate);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    Stat stat;
    if (ReadStat(candidate, stat) && stat.parent == pid) children.push_back(candidate);
  }
  closedir(proc);
  return children;
}

std::vector<std::string> CommandLineOf(pid_t pid) {
  std::istringstream text(ReadSmallFile("/proc/" + std::to_string(pid) + "/cmdline"));
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(text, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

}  // namespace multigres
