// The orchestrators that are registered and there, and this one's place among them: who acts first when a shard has
// lost its leader. Looked up now and then; what was seen last counts while the topology is away.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "clustermetadata.pb.h"
#include "common/topoclient/store.h"
#include "tools/net/socket.h"

namespace multigres::orch {

class Roster {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(5);
  static constexpr Duration kConnectTimeout = std::chrono::seconds(1);

  // An orchestrator belongs to its own roster, registered or not.
  Roster(topo::Store& store, const clustermetadata::ID& self);

  // Reads and looks around every kInterval; returns only by its task's cancellation.
  Awaitable<void> Follow();
  Awaitable<Result<>> Read(Deadline deadline);
  // Which of those that come before this one are there? The record of one that was killed stays: nobody should wait for
  // it for ever. One that registered no gRPC port is taken for there.
  Awaitable<void> LookAround();
  // How many come before this one, by cell and name.
  int Rank() const;

 private:
  using Place = std::pair<std::string, std::string>;  // cell, name
  topo::Store& store_;
  Place self_;
  std::map<Place, std::optional<Address>> others_;  // their gRPC servers
  std::set<Place> absent_;
};

}  // namespace multigres::orch
