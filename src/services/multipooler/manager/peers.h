// The other members of the shard, as the topology and they themselves tell.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clustermetadata.pb.h"
#include "common/rpc/channel.h"
#include "common/topoclient/store.h"
#include "multipoolermanagerdata.pb.h"
#include "tools/async/task_group.h"

namespace multigres::pooler::manager {

struct Peer {
  ::clustermetadata::MultiPooler record;
  // Empty if it didn't answer.
  std::optional<::multipoolermanagerdata::StatusResponse> status;

  bool IsInitialized() const { return status && status->status().is_initialized(); }
  bool IsPrimary() const { return status && status->status().pooler_type() == ::clustermetadata::PRIMARY; }
};

class Peers {
 public:
  virtual ~Peers() = default;
  // Everybody who is registered for the shard, but not oneself. An error: the topology can't be read completely, so
  // nothing may be concluded.
  virtual Awaitable<Result<std::vector<Peer>>> Survey(Deadline deadline) = 0;
  // One member's status, by its id.
  virtual Awaitable<Result<::multipoolermanagerdata::StatusResponse>> StatusOf(::clustermetadata::ID id,
                                                                               Deadline deadline) = 0;
};

// By gRPC; each status within 2 s, all at once.
class TopologyPeers final : public Peers {
 public:
  TopologyPeers(topo::Store& store, ::clustermetadata::ID self, ::clustermetadata::ShardKey shard);
  ~TopologyPeers() override;
  Awaitable<Result<std::vector<Peer>>> Survey(Deadline deadline) override;
  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> StatusOf(::clustermetadata::ID id,
                                                                       Deadline deadline) override;
  // Must be awaited before destruction.
  Awaitable<void> Close();

 private:
  Awaitable<Result<std::vector<Peer>>> Registered(Deadline deadline);
  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> Ask(const ::clustermetadata::MultiPooler& record,
                                                                  Deadline deadline);
  struct Round;
  Awaitable<void> AskInto(std::shared_ptr<Round> round, std::size_t index, Deadline deadline);

  topo::Store& store_;
  const ::clustermetadata::ID self_;
  const ::clustermetadata::ShardKey shard_;
  std::map<std::string, std::unique_ptr<rpc::Channel>> channels_;  // by address
  TaskGroup asking_;
};

}  // namespace multigres::pooler::manager
