#include "services/multipooler/replication/promotion.h"

#include <sys/stat.h>

#include <ranges>

#include "tools/fs/file.h"

namespace multigres::pooler::replication {

namespace {

using std::chrono::milliseconds;

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

Awaitable<Result<>> PromoteServer(AdminSessions& sessions, std::string data_dir, std::int64_t term, Deadline deadline) {
  auto state = co_await ReadServerState(sessions, deadline);
  if (!state) co_return std::unexpected(std::move(state.error()));
  auto reservation = TimelineReservation::Make(data_dir, state->timeline, term);
  if (!reservation) co_return std::unexpected(std::move(reservation.error()));
  // From here on it may happen at any time, whatever this call learns of it.
  reservation->Keep();
  auto promoted = co_await sessions.Query("SELECT pg_promote(false)", deadline);
  if (!promoted) co_return Fail(std::move(promoted), "pg_promote");
  while (true) {
    auto recovering = co_await sessions.Scalar("SELECT pg_is_in_recovery()", deadline);
    if (recovering && *recovering == "f") break;
    if (deadline.Passed(sessions.clock().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "PostgreSQL was told to promote and is still in recovery");
    }
    co_await SleepFor(sessions.clock(), milliseconds(5));
  }
  auto now = co_await ReadServerState(sessions, deadline);
  if (!now) co_return std::unexpected(std::move(now.error()));
  if (now->timeline != term + 1) {
    co_return Fail(Code::kInternal,
                   fmt::format("promotion in term {} gave timeline {} instead of {}", term, now->timeline, term + 1));
  }
  co_return Result<>();
}

}  // namespace multigres::pooler::replication
