// The timeline id of a promotion: it belongs to its term alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/result/error.h"

namespace multigres::pooler::replication {

// pg_promote takes the next timeline id that it sees free, so two promotions at one LSN could share it and their
// histories be taken for one. Empty history files for own+1..term make it take term+1.
//
// They stay afterwards: a follower's WAL receiver asks its leader for the history of every id up to the leader's own,
// and its startup process looks for the newest timeline one id after the other, so a gap would cut it off. An empty
// history is no child of any timeline, so a running standby passes over it; a server that starts with one as its newest
// timeline doesn't come up, which RemoveLeftovers() prevents.
class TimelineReservation {
 public:
  // FAILED_PRECONDITION if own_timeline > term (one promotion a term). Existing files are left alone.
  static Result<TimelineReservation> Make(const std::string& data_dir, std::uint32_t own_timeline, std::int64_t term);
  TimelineReservation(TimelineReservation&&) noexcept = default;
  TimelineReservation& operator=(TimelineReservation&&) = delete;
  ~TimelineReservation();  // removes what it made, unless Keep() was called
  // The promotion is under way.
  void Keep() { files_.clear(); }

  // Removes what an interrupted promotion left: empty history files that no real one follows. Before every start of the
  // server.
  static Result<> RemoveLeftovers(const std::string& data_dir);

 private:
  TimelineReservation() = default;
  std::vector<std::string> files_;
};

}  // namespace multigres::pooler::replication
