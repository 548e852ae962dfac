#include "services/multipooler/replication/data_directory.h"

#include "services/multipooler/replication/promotion.h"
#include "services/multipooler/replication/timeline_switch.h"
#include "tools/fs/file.h"

namespace multigres::pooler::replication {

bool LocalDataDirectory::Exists() const {
  return fs::Exists(path_ + "/PG_VERSION");
}

Result<> LocalDataDirectory::EditAutoConf(const std::vector<AutoConfChange>& changes) {
  return replication::EditAutoConf(path_, changes);
}

Result<> LocalDataDirectory::RemoveTimelineLeftovers() {
  auto removed = TimelineReservation::RemoveLeftovers(path_);
  if (removed) removed = RemoveUnfinishedSwitches(path_);
  return removed;
}

Result<std::string> LocalDataDirectory::ReadMark() const {
  return fs::ReadFile(MarkFile());
}

Result<> LocalDataDirectory::WriteMark(std::string_view text) {
  return fs::WriteFileAtomic(MarkFile(), text, 0600);
}

Awaitable<Result<>> LocalDataDirectory::Seed(SeedSource source, Deadline deadline) {
  co_return co_await SeedDataDirectory(reactor_, pg_bin_dir_, path_, std::move(source), deadline);
}

Result<> LocalDataDirectory::Remove() {
  for (const char* suffix : {"", ".init", ".seeding"}) {
    if (auto removed = fs::RemoveTree(path_ + suffix); !removed) return removed;
  }
  return {};
}

}  // namespace multigres::pooler::replication
