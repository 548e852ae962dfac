#include "services/multipooler/manager/recruit_floor.h"

#include <limits>
#include <string_view>

#include "common/consensus/position.h"

namespace multigres::pooler::manager {

namespace {

constexpr std::string_view kBeyondAllWal = "FFFFFFFF/FFFFFFFF";

}  // namespace

::clustermetadata::LsnPosition UnknownFloor(const ::clustermetadata::RulePosition& rules) {
  ::clustermetadata::LsnPosition floor;
  *floor.mutable_position() = multigres::consensus::Numbers(rules);
  floor.set_lsn(std::string(kBeyondAllWal));
  return floor;
}

::clustermetadata::LsnPosition UnknownFloor() {
  ::clustermetadata::RulePosition rules;
  rules.mutable_decision()->mutable_rule_number()->set_coordinator_term(std::numeric_limits<std::int64_t>::max());
  return UnknownFloor(rules);
}

bool IsUnknownFloor(const ::clustermetadata::LsnPosition& floor) {
  return floor.lsn() == kBeyondAllWal;
}

}  // namespace multigres::pooler::manager
