// The floor below which a seeded member may not be recruited: at first unknown, then read from a leader that writes.
#pragma once

#include "clustermetadata.pb.h"

namespace multigres::pooler::manager {

// Blocks until the real floor is read: no WAL ever reaches it.
::clustermetadata::LsnPosition UnknownFloor(const ::clustermetadata::RulePosition& rules);
// Where not even the rules are known.
::clustermetadata::LsnPosition UnknownFloor();
bool IsUnknownFloor(const ::clustermetadata::LsnPosition& floor);

}  // namespace multigres::pooler::manager
