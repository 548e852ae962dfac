#include "common/consensus/wall_time.h"

#include <google/protobuf/timestamp.pb.h>

namespace multigres::consensus {

::google::protobuf::Timestamp ToTimestamp(WallTime time) {
  const auto since_epoch = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  ::google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(seconds.count());
  timestamp.set_nanos(static_cast<std::int32_t>((since_epoch - seconds).count()));
  return timestamp;
}

WallTime FromTimestamp(const ::google::protobuf::Timestamp& timestamp) {
  return WallTime(std::chrono::seconds(timestamp.seconds()) + std::chrono::nanoseconds(timestamp.nanos()));
}

}  // namespace multigres::consensus
