// A connection to one cell of a MemoryTopo.
#pragma once

#include "common/topoclient/memorytopo/memory_topo.h"

namespace multigres::topo {

class MemoryConnection final : public Connection {
 public:
  MemoryConnection(MemoryTopo& topo, ConnectionSpec spec);

  Awaitable<Result<Version>> Create(CallContext context, std::string path, std::string contents) override;
  Awaitable<Result<Version>> Update(CallContext context, std::string path, std::string contents,
                                    std::optional<Version> version) override;
  Awaitable<Result<VersionedValue>> Get(CallContext context, std::string path,
                                        std::optional<Version> revision) override;
  Awaitable<Result<std::vector<KeyValue>>> List(CallContext context, std::string prefix, ListWhat what) override;
  Awaitable<Result<>> Delete(CallContext context, std::string path, std::optional<Version> version) override;
  Awaitable<Result<std::unique_ptr<Lock>>> AcquireLock(CallContext context, LockRequest request) override;
  Awaitable<Result<>> RevokeLock(CallContext context, std::string key) override;
  Awaitable<Result<std::unique_ptr<Watch>>> OpenWatch(CallContext context, std::string path, WatchScope scope) override;
  Awaitable<void> Close() override;

  // What comes before each operation: the hooks, and the caller's limits.
  Awaitable<Result<>> Begin(CallContext context, Operation operation, std::string path);

 private:
  Awaitable<Result<>> WaitForTurn(CallContext context, std::string key, Version created);

  MemoryTopo& topo_;
  ConnectionSpec spec_;
  CellStore& store_;
  bool closed_ = false;
  std::vector<std::weak_ptr<Watch::Feed>> feeds_;
};

}  // namespace multigres::topo
