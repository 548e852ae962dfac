// The other orchestrators that look after the same shards, and this one's place among them: who acts first when a shard
// has lost its leader. Looked up now and then; what was seen last counts while the topology is away.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "clustermetadata.pb.h"
#include "common/rpc/channel.h"
#include "common/topoclient/store.h"
#include "tools/net/socket.h"

namespace multigres::orch {

class Roster {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(5);
  // While this one or others have only just come or gone: after a restart of all, one after the other turns up.
  static constexpr Duration kEagerInterval = std::chrono::milliseconds(500);
  static constexpr Duration kEagerFor = std::chrono::seconds(15);
  static constexpr Duration kAskTimeout = std::chrono::seconds(1);

  // An orchestrator belongs to its own roster, registered or not.
  Roster(topo::Store& store, const clustermetadata::ID& self, rpc::ChannelOptions channel);

  // Reads and looks around at intervals; returns only by its task's cancellation.
  Awaitable<void> Follow();
  Awaitable<Result<>> Read(Deadline deadline);
  // Asks those that come before this one what they look after. Nobody waits for one that isn't there (the record of one
  // that was killed stays), that has its recovery disabled, or that doesn't know the shard. One that doesn't say
  // counts.
  Awaitable<void> LookAround();
  // How many come before this one in the shard, by cell and name. Before the first Read() and LookAround() one is
  // assumed: two that both took themselves for the first would take each other's recruits away.
  int Rank(const clustermetadata::ShardKey& shard) const;
  bool known() const { return known_; }

 private:
  using Place = std::pair<std::string, std::string>;  // cell, name
  using Shards = std::set<std::string>;
  std::set<Place> Places() const;
  // Empty if it isn't there or does nothing, null if it doesn't say.
  Awaitable<std::optional<Shards>> Ask(Address address);

  topo::Store& store_;
  rpc::ChannelOptions channel_;
  Place self_;
  std::map<Place, std::optional<Address>> others_;  // their gRPC servers
  std::map<Place, Shards> attending_;               // of those that come before this one and have said, or aren't there
  bool read_ = false;
  bool known_ = false;
};

}  // namespace multigres::orch
