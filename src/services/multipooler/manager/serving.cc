#include "services/multipooler/manager/serving.h"

namespace multigres::pooler::manager {

namespace {

std::string_view Name(ServingStatus status) {
  switch (status) {
    case ServingStatus::kServing:
      return "SERVING";
    case ServingStatus::kDisabled:
      return "DISABLED";
    case ServingStatus::kDraining:
      return "DRAINING";
  }
  return "?";
}

std::string_view Name(RoutingRole role) {
  switch (role) {
    case RoutingRole::kUnknown:
      return "UNKNOWN";
    case RoutingRole::kPrimary:
      return "PRIMARY";
    case RoutingRole::kReplica:
      return "REPLICA";
  }
  return "?";
}

}  // namespace

std::string ToString(const ServingState& state) {
  return fmt::format("{} {} {}.{}", Name(state.role), Name(state.status), state.coordinator_term, state.leader_subterm);
}

void ServingBoard::Publish(const ServingState& state) {
  if (published_.value() != state) published_.Publish(state);
}

void ServingBoard::End() {
  ended_.store(true, std::memory_order_release);
  published_.Publish(published_.value());
}

}  // namespace multigres::pooler::manager
