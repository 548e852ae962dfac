// Wall time to and from the contract's timestamps.
#pragma once

#include "tools/clock/clock.h"

namespace google::protobuf {
class Timestamp;
}  // namespace google::protobuf

namespace multigres::consensus {

::google::protobuf::Timestamp ToTimestamp(WallTime time);
WallTime FromTimestamp(const ::google::protobuf::Timestamp& timestamp);

}  // namespace multigres::consensus
