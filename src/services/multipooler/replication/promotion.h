// Making a standby the primary, on a timeline id that belongs to its term alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/multipooler/replication/server_state.h"

namespace multigres::pooler::replication {

// pg_promote takes the next timeline id that it sees free, so two promotions at one LSN could share it and their
// histories be taken for one. Empty history files for own+1..term make it take term+1. They exist only around the
// promotion; a standby doesn't start with them.
class TimelineReservation {
 public:
  // FAILED_PRECONDITION if own_timeline > term (one promotion a term). Existing files are left alone.
  static Result<TimelineReservation> Make(const std::string& data_dir, std::uint32_t own_timeline, std::int64_t term);
  TimelineReservation(TimelineReservation&&) noexcept = default;
  TimelineReservation& operator=(TimelineReservation&&) = delete;
  ~TimelineReservation();  // removes what it made

  // Removes what a crash left of one: history files without content. Before every start of the server.
  static Result<> RemoveLeftovers(const std::string& data_dir);

 private:
  TimelineReservation() = default;
  std::vector<std::string> files_;
};

// pg_promote, and waiting until the server is out of recovery.
Awaitable<Result<>> PromoteServer(AdminSessions& sessions, std::string data_dir, std::int64_t term, Deadline deadline);

}  // namespace multigres::pooler::replication
