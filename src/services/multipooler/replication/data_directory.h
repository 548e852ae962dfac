// PGDATA of a server that is down. A seam: behind it is the local disk and, in the simulation, a folder in memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/multipooler/replication/auto_conf.h"
#include "services/multipooler/replication/base_backup.h"
#include "tools/async/reactor.h"

namespace multigres::pooler::replication {

// One reactor. Everything but Seed() blocks for as long as the disk does.
class DataDirectory {
 public:
  virtual ~DataDirectory() = default;

  // Something was initialised there, complete or not.
  virtual bool Exists() const = 0;
  // postgresql.auto.conf, atomic and durable.
  virtual Result<> EditAutoConf(const std::vector<AutoConfChange>& changes) = 0;
  // What an interrupted promotion (TimelineReservation) or an interrupted change of timeline (timeline_switch.h) left.
  // Before every start of the server.
  virtual Result<> RemoveTimelineLeftovers() = 0;
  // A small file in it, durable once written; NOT_FOUND if there is none. Copies and pg_rewind bring another member's.
  virtual Result<std::string> ReadMark() const = 0;
  virtual Result<> WriteMark(std::string_view text) = 0;
  // A copy of another member's data directory (SeedDataDirectory).
  virtual Awaitable<Result<>> Seed(SeedSource source, Deadline deadline) = 0;
  // Together with what unfinished attempts left beside it.
  virtual Result<> Remove() = 0;
};

class LocalDataDirectory final : public DataDirectory {
 public:
  LocalDataDirectory(Reactor& reactor, std::string path, std::string pg_bin_dir)
      : reactor_(reactor), path_(std::move(path)), pg_bin_dir_(std::move(pg_bin_dir)) {}

  bool Exists() const override;
  Result<> EditAutoConf(const std::vector<AutoConfChange>& changes) override;
  Result<> RemoveTimelineLeftovers() override;
  Result<std::string> ReadMark() const override;
  Result<> WriteMark(std::string_view text) override;
  Awaitable<Result<>> Seed(SeedSource source, Deadline deadline) override;
  Result<> Remove() override;

 private:
  std::string MarkFile() const { return path_ + "/multigres_member.json"; }

  Reactor& reactor_;
  const std::string path_;
  const std::string pg_bin_dir_;
};

}  // namespace multigres::pooler::replication
