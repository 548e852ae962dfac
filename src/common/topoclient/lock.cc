#include "common/topoclient/lock.h"

#include <pwd.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>

namespace multigres::topo {

namespace {

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

std::string UserName() {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? found->pw_name : std::to_string(geteuid());
}

std::string Rfc3339(WallTime time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

}  // namespace

std::string LockContents(std::string_view action, WallTime now) {
  nlohmann::ordered_json json = {
      {"Action", action},
      {"HostName", HostName()},
      {"UserName", UserName()},
      {"Time", Rfc3339(now)},
      {"Options", nlohmann::ordered_json::object()},
      {"Status", "Running"},
  };
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace multigres::topo
