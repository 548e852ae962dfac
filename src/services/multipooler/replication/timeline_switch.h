// What a standby leaves behind that was stopped in the middle of its change to a new timeline.
#pragma once

#include <string>

#include "tools/result/error.h"

namespace multigres::pooler::replication {

// A WAL receiver begins a new timeline with the segment in which it branches off, from that segment's start. A standby
// that ends before it has come to the branch point is left with a segment that breaks off on the old timeline's part of
// it. Recovery prefers it all the same, for it is the newest timeline's, and ends at every start with "according to
// history file, WAL location ... belongs to timeline ..., but previous recovered WAL file came from timeline ...".
//
// Removes such segments: those of a timeline in which no record can be read at the branch point itself. Nothing beyond
// that point can be read from them either, and what is before it is in the old timeline's segment. Only while the
// server is down.
Result<> RemoveUnfinishedSwitches(const std::string& data_dir);

}  // namespace multigres::pooler::replication
