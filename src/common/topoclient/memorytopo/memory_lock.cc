#include "common/topoclient/memorytopo/memory_lock.h"

namespace multigres::topo {

MemoryLock::MemoryLock(MemoryConnection& connection, CellStore& store, Clock& clock, std::string key,
                       std::uint64_t lease, Duration ttl)
    : connection_(connection), store_(store), clock_(clock), key_(std::move(key)), lease_(lease), ttl_(ttl) {
  store_.Grant(lease_, &lost_);
}

MemoryLock::~MemoryLock() {
  if (acquired_) {
    store_.Orphan(lease_, clock_, ttl_);
  } else {
    store_.Revoke(lease_);
  }
}

Awaitable<Result<>> MemoryLock::Check(CallContext context) {
  if (auto begun = co_await connection_.Begin(context, Operation::kLock, key_); !begun) co_return begun;
  const auto* node = store_.Find(key_);
  if (node == nullptr || node->lease != lease_) co_return FailTopo(ErrorKind::kNoNode, key_);
  co_return Result<>();
}

Awaitable<Result<>> MemoryLock::Unlock(CallContext context) {
  if (auto begun = co_await connection_.Begin(context, Operation::kLock, key_); !begun) co_return begun;
  if (!store_.IsLive(lease_)) co_return FailTopo(ErrorKind::kNoNode, key_);
  store_.Grant(lease_, nullptr);  // given back, not lost
  store_.Revoke(lease_);
  co_return Result<>();
}

}  // namespace multigres::topo
