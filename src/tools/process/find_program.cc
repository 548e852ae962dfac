#include "tools/process/find_program.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace multigres {

namespace {

constexpr int kOldestPostgres = 14;
constexpr int kNewestPostgres = 18;

bool IsExecutableFile(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> PathDirectories() {
  std::vector<std::string> directories;
  const char* path = std::getenv("PATH");
  std::istringstream text(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string directory; std::getline(text, directory, ':');) {
    if (!directory.empty()) directories.push_back(directory);
  }
  return directories;
}

}  // namespace

Result<std::string> FindProgram(std::string_view name, const std::vector<std::string>& directories) {
  if (name.empty()) return Fail(Code::kInvalidArgument, "no program named");
  if (name.find('/') != std::string_view::npos) {
    std::string path(name);
    if (IsExecutableFile(path)) return path;
    return Fail(Code::kNotFound, fmt::format("program {} doesn't exist or is not executable", name));
  }
  std::vector<std::string> candidates = directories;
  for (std::string& directory : PathDirectories()) candidates.push_back(std::move(directory));
  for (const std::string& directory : candidates) {
    std::string path = directory + "/" + std::string(name);
    if (IsExecutableFile(path)) return path;
  }
  return Fail(Code::kNotFound, fmt::format("program {} not found in PATH", name));
}

std::vector<std::string> VersionedDirectories(std::string_view base, std::string_view subfolder, int lowest,
                                              int highest) {
  std::vector<std::string> found;
  for (int version = highest; version >= lowest; --version) {
    std::string directory = fmt::format("{}/{}/{}", base, version, subfolder);
    if (access(directory.c_str(), X_OK) == 0) found.push_back(std::move(directory));
  }
  return found;
}

Result<std::string> FindPostgresBinDir(std::string_view preferred) {
  if (!preferred.empty()) {
    if (IsExecutableFile(std::string(preferred) + "/postgres")) return std::string(preferred);
    return Fail(Code::kNotFound, fmt::format("no PostgreSQL programs in {}: name the folder that holds 'postgres' "
                                             "and 'initdb' with --pg-bin-dir",
                                             preferred));
  }
  std::vector<std::string> candidates = PathDirectories();
  for (std::string& directory : VersionedDirectories("/usr/lib/postgresql", "bin", kOldestPostgres, kNewestPostgres)) {
    candidates.push_back(std::move(directory));
  }
  for (const std::string& directory : candidates) {
    if (!IsExecutableFile(directory + "/postgres") || !IsExecutableFile(directory + "/initdb")) continue;
    // Some of the programs may be linked from elsewhere: all of them are where they really live.
    std::error_code error;
    const auto real = std::filesystem::canonical(directory + "/postgres", error);
    return error ? directory : real.parent_path().string();
  }
  return Fail(Code::kNotFound,
              "PostgreSQL's programs (postgres, initdb) were found neither in PATH nor below /usr/lib/postgresql: "
              "install the package postgresql, or name their folder with --pg-bin-dir");
}

}  // namespace multigres
