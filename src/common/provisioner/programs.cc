#include "common/provisioner/programs.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "tools/process/find_program.h"
#include "tools/process/process.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

namespace {

constexpr int kOldestPostgres = 14;
constexpr int kNewestPostgres = 18;
constexpr std::array<std::string_view, 5> kPostgresPrograms = {"postgres", "pg_ctl", "initdb", "pg_isready",
                                                               "pg_rewind"};

bool IsExecutable(const std::string& path) {
  return ::access(path.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(path);
}

Result<std::string> FindPostgres(const std::string& cli_dir, const std::string& preferred) {
  if (!preferred.empty() || !IsExecutable(cli_dir + "/postgres")) return FindPostgresBinDir(preferred);
  return cli_dir;
}

Awaitable<Result<std::string>> VersionOutput(Reactor& reactor, std::string program) {
  SpawnOptions options;
  options.argv = {program, "--version"};
  auto done = co_await RunProcess(reactor, std::move(options), reactor.clock().After(10s));
  if (!done) co_return Fail(std::move(done), program + " --version");
  if (!done->status.Succeeded()) {
    co_return Fail(Code::kFailedPrecondition, fmt::format("{} --version failed: {}", program, done->status.ToString()));
  }
  co_return std::move(done->output);
}

// Every service's program: beside the CLI, or where the configuration says.
Result<> FindOwn(const ClusterConfig& config, const std::string& cli_dir, Programs& programs) {
  Result<> result;
  const auto add = [&](const std::string& name, const std::string& cell, const std::string& configured) {
    if (!cell.empty() && configured.empty()) return;
    const std::string path = configured.empty() ? fmt::format("{}/{}", cli_dir, name) : config.Resolve(configured);
    if (result && !IsExecutable(path)) {
      result = Fail(Code::kNotFound,
                    fmt::format("program {} not found: expected at {}; build it, or name its path in the configuration",
                                name, path));
    }
    programs.services[cell.empty() ? name : cell + "/" + name] = path;
  };
  const auto everywhere = [&](const auto& path_in) {
    return std::ranges::all_of(config.cells, [&](const CellConfig& cell) { return !path_in(cell).empty(); });
  };
  add("multiadmin", "", config.multiadmin.path);
  const auto per_cell = [&](const std::string& name, const auto& path_in) {
    // The one beside the CLI is needed unless every cell has its own.
    if (!everywhere(path_in)) add(name, "", "");
    for (const CellConfig& cell : config.cells) add(name, cell.name, path_in(cell));
  };
  per_cell("multigateway", [](const CellConfig& cell) { return cell.gateway.path; });
  per_cell("multipooler", [](const CellConfig& cell) { return cell.pooler.path; });
  per_cell("pgctld", [](const CellConfig& cell) { return cell.pgctld.path; });
  per_cell("multiorch", [](const CellConfig& cell) { return cell.orch.path; });
  return result;
}

}  // namespace

const std::string& Programs::ServicePath(const std::string& service, const std::string& cell) const {
  const auto own = services.find(cell + "/" + service);
  return own != services.end() ? own->second : services.at(service);
}

std::string OwnDirectory() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : self.parent_path().string();
}

int ParsePostgresMajor(const std::string& version_output) {
  int major = 0;
  return std::sscanf(version_output.c_str(), "postgres (PostgreSQL) %d", &major) == 1 ? major : 0;
}

std::pair<int, int> ParseEtcdVersion(const std::string& version_output) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(version_output.c_str(), "etcd Version: %d.%d", &major, &minor) != 2) return {0, 0};
  return {major, minor};
}

Awaitable<Result<Programs>> FindPrograms(Reactor& reactor, const ClusterConfig& config, std::string cli_dir,
                                         std::string pg_bin_dir) {
  Programs programs;
  if (auto found = FindOwn(config, cli_dir, programs); !found) co_return std::unexpected(std::move(found.error()));

  auto etcd = FindProgram("etcd", {cli_dir});
  if (!etcd) {
    co_return Fail(Code::kNotFound, "program etcd not found: install the package etcd-server, or put etcd into PATH");
  }
  programs.etcd = std::move(*etcd);
  auto etcd_version = co_await VersionOutput(reactor, programs.etcd);
  if (!etcd_version) co_return std::unexpected(std::move(etcd_version.error()));
  if (ParseEtcdVersion(*etcd_version) < std::pair{3, 4}) {
    co_return Fail(Code::kFailedPrecondition, fmt::format("etcd 3.4 or newer is needed, but {} is: {}", programs.etcd,
                                                          etcd_version->substr(0, etcd_version->find('\n'))));
  }

  auto bin_dir = FindPostgres(cli_dir, pg_bin_dir);
  if (!bin_dir) co_return std::unexpected(std::move(bin_dir.error()));
  programs.pg_bin_dir = std::move(*bin_dir);
  for (const std::string_view name : kPostgresPrograms) {
    if (IsExecutable(fmt::format("{}/{}", programs.pg_bin_dir, name))) continue;
    co_return Fail(Code::kNotFound,
                   fmt::format("program {} not found in {}: install PostgreSQL's server and client programs, or name "
                               "the folder of another version with --pg-bin-dir",
                               name, programs.pg_bin_dir));
  }
  auto version = co_await VersionOutput(reactor, programs.pg_bin_dir + "/postgres");
  if (!version) co_return std::unexpected(std::move(version.error()));
  const int major = ParsePostgresMajor(*version);
  if (major < kOldestPostgres || major > kNewestPostgres) {
    co_return Fail(
        Code::kFailedPrecondition,
        fmt::format("PostgreSQL {} to {} is needed, but {}/postgres is: {}; name another with --pg-bin-dir",
                    kOldestPostgres, kNewestPostgres, programs.pg_bin_dir, version->substr(0, version->find('\n'))));
  }
  co_return programs;
}

}  // namespace multigres::provisioner
