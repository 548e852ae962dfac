// Takes a CancelRequest to the gateway whose session it means.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/rpc/channel.h"
#include "common/topoclient/store.h"
#include "services/multigateway/cancel/cancel_registry.h"

namespace multigres::gateway::cancel {

// Lives on the topology store's reactor. A request is sent at most once and never answered; one that finds nobody is
// forgotten.
class CancelRouter {
 public:
  CancelRouter(CancelRegistry& registry, topo::Store& store, rpc::ChannelOptions channel);

  // Own prefix: cancelled here. Another: passed on to its gateway. Returns once the session has been told, or nobody
  // can be; within five seconds.
  Awaitable<void> Route(std::uint32_t process_id, std::string secret_key, bool replica);

 private:
  Awaitable<void> PassOn(std::uint32_t process_id, std::string secret_key, bool replica);
  // Empty if no gateway has the prefix.
  Awaitable<std::string> AddressOf(std::uint32_t prefix);
  Awaitable<bool> Rebuild();

  CancelRegistry& registry_;
  topo::Store& store_;
  rpc::ChannelOptions channel_;
  std::map<std::uint32_t, std::string> addresses_;  // by prefix
  Deadline stale_;
};

}  // namespace multigres::gateway::cancel
