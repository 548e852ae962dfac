#include "services/multipooler/replication/base_backup.h"

#include <cstdio>
#include <cstring>

#include "services/multipooler/replication/auto_conf.h"
#include "tools/fs/file.h"
#include "tools/process/process.h"

namespace multigres::pooler::replication {

namespace {

SpawnOptions BackupCommand(const std::string& pg_bin_dir, const SeedSource& source, const std::string& folder) {
  SpawnOptions spawn;
  spawn.argv = {pg_bin_dir + "/pg_basebackup",
                "--pgdata=" + folder,
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-password",
                fmt::format("--dbname=host={} port={} user={} application_name={} connect_timeout=5", source.host,
                            source.port, source.user, source.application_name)};
  spawn.environment = {"PGPASSFILE=" + source.passfile, "PGPASSWORD", "POSTGRES_PASSWORD", "LC_ALL=C"};
  spawn.umask = 0077;
  spawn.new_process_group = true;
  spawn.standard_error = OutputTo::SameAsStdout();
  return spawn;
}

// Whom the source follows, and who acknowledges it, is none of the copy's business.
Result<> DropSourceSettings(const std::string& folder) {
  const std::vector<AutoConfChange> changes = {
      {.name = "primary_conninfo", .remove = true, .value = {}},
      {.name = "restore_command", .remove = true, .value = {}},
      {.name = "synchronous_standby_names", .remove = true, .value = {}},
  };
  return EditAutoConf(folder, changes);
}

}  // namespace

Awaitable<Result<>> SeedDataDirectory(Reactor& reactor, std::string pg_bin_dir, std::string data_dir, SeedSource source,
                                      Deadline deadline) {
  const std::string folder = data_dir + ".seeding";
  if (fs::Exists(data_dir + "/PG_VERSION")) {
    co_return Fail(Code::kFailedPrecondition, data_dir + " holds a data directory already");
  }
  if (auto removed = fs::RemoveTree(folder); !removed) co_return removed;
  auto done = co_await RunProcess(reactor, BackupCommand(pg_bin_dir, source, folder), deadline);
  Result<> seeded;
  if (!done) {
    seeded = std::unexpected(std::move(done.error()));
  } else if (!done->status.Succeeded()) {
    seeded =
        Fail(Code::kUnavailable, fmt::format("pg_basebackup failed ({}): {}", done->status.ToString(), done->output));
  }
  if (seeded) seeded = DropSourceSettings(folder);
  if (seeded && std::rename(folder.c_str(), data_dir.c_str()) != 0) {
    seeded = Fail(Code::kInternal, fmt::format("rename {}: {}", folder, std::strerror(errno)));
  }
  if (!seeded) {
    (void)fs::RemoveTree(folder);
    co_return seeded;
  }
  const auto slash = data_dir.rfind('/');
  co_return fs::SyncDirectory(slash == 0 || slash == std::string::npos ? "/" : data_dir.substr(0, slash));
}

}  // namespace multigres::pooler::replication
