#include "services/multipooler/replication/promotion.h"

#include <sys/stat.h>

#include <ranges>

#include "tools/fs/file.h"

namespace multigres::pooler::replication {

namespace {

constexpr std::int64_t kMostReserved = 100000;

std::string HistoryFile(const std::string& data_dir, std::int64_t timeline) {
  return fmt::format("{}/pg_wal/{:08X}.history", data_dir, timeline);
}

}  // namespace

Result<TimelineReservation> TimelineReservation::Make(const std::string& data_dir, std::uint32_t own_timeline,
                                                      std::int64_t term) {
  if (own_timeline > term) {
    return Fail(
        Code::kFailedPrecondition,
        fmt::format("timeline {} is beyond term {}: this server was promoted in it already", own_timeline, term));
  }
  if (term - own_timeline > kMostReserved) {
    return Fail(Code::kFailedPrecondition, fmt::format("term {} is too far beyond timeline {}", term, own_timeline));
  }
  TimelineReservation reservation;
  for (std::int64_t timeline = std::int64_t{own_timeline} + 1; timeline <= term; ++timeline) {
    const std::string file = HistoryFile(data_dir, timeline);
    auto made = fs::CreateExclusive(file, "", 0600);
    if (made) {
      reservation.files_.push_back(file);
    } else if (made.error().code() != Code::kAlreadyExists) {
      return Fail(std::move(made), "reserve timeline");
    }
  }
  return reservation;
}

TimelineReservation::~TimelineReservation() {
  for (const std::string& file : files_) (void)fs::RemoveFile(file);
}

Result<> TimelineReservation::RemoveLeftovers(const std::string& data_dir) {
  auto names = fs::ListDirectory(data_dir + "/pg_wal");
  if (!names) return std::unexpected(std::move(names.error()));
  // Names sort by id.
  for (const std::string& name : std::views::reverse(*names)) {
    if (!name.ends_with(".history")) continue;
    const std::string file = data_dir + "/pg_wal/" + name;
    struct stat info{};
    if (::stat(file.c_str(), &info) != 0 || info.st_size != 0) break;
    auto removed = fs::RemoveFile(file);
    if (!removed) return std::unexpected(std::move(removed.error()));
  }
  return {};
}

}  // namespace multigres::pooler::replication
