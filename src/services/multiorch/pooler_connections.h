// The connections to all watched poolers, one each, following their records.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "services/multiorch/pooler_connection.h"
#include "tools/async/task_group.h"

namespace multigres::orch {

class PoolerConnections final : public PoolerClients {
 public:
  explicit PoolerConnections(ConnectionContext context);
  ~PoolerConnections() override;

  // Connects to the pooler, anew if its address has changed; one that is being waited for is tried again at once. A
  // record without a gRPC address is left alone.
  void Connect(const std::string& member, const ::clustermetadata::MultiPooler& record);
  void Disconnect(const std::string& member);
  // Await before destruction.
  Awaitable<void> Stop();

  std::shared_ptr<PoolerClient> Find(const std::string& member) override;

 private:
  struct Entry;
  static Awaitable<void> End(std::shared_ptr<Entry> entry);

  ConnectionContext context_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
  TaskGroup ending_;
};

}  // namespace multigres::orch
