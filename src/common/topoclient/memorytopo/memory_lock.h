// A lock in memory: a key on a lease that its holder keeps alive by existing.
#pragma once

#include "common/topoclient/memorytopo/memory_connection.h"

namespace multigres::topo {

class MemoryLock final : public Lock {
 public:
  MemoryLock(MemoryConnection& connection, CellStore& store, Clock& clock, std::string key, std::uint64_t lease,
             Duration ttl);
  // Still in the queue: the lease is revoked. Held: it runs out after its ttl.
  ~MemoryLock() override;

  void Acquired() { acquired_ = true; }
  Awaitable<Result<>> Check(CallContext context) override;
  Awaitable<Result<>> Unlock(CallContext context) override;
  Event& lost() override { return lost_; }
  const std::string& key() const override { return key_; }

 private:
  MemoryConnection& connection_;
  CellStore& store_;
  Clock& clock_;
  std::string key_;
  std::uint64_t lease_;
  Duration ttl_;
  bool acquired_ = false;
  Event lost_;
};

}  // namespace multigres::topo
