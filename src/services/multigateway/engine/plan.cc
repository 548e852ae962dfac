#include "services/multigateway/engine/plan.h"

#include <fmt/format.h>

#include "services/multigateway/session/reservation.h"

namespace multigres::gateway::engine {

std::string Plan::ToString() const {
  namespace r = session::reason;
  std::string text = primitive_->ToString();
  struct Name {
    std::uint32_t bit;
    std::string_view name;
  };
  static constexpr Name kNames[] = {{r::kTempTable, "temp_table"},
                                    {r::kPortal, "portal"},
                                    {r::kAdvisoryLock, "advisory_lock"},
                                    {r::kSetSeed, "setseed"},
                                    {r::kLogicalReplication, "logical_replication"}};
  for (const Name& each : kNames) {
    if (pinning_.reasons & each.bit) text += fmt::format(" +{}", each.name);
  }
  for (const std::string& name : pinning_.pin_portals) text += fmt::format(" +cursor({})", name);
  if (pinning_.recheck_advisory_locks) text += " recheck_advisory_locks";
  if (traits_.cacheable) text += " cacheable";
  return text;
}

}  // namespace multigres::gateway::engine
