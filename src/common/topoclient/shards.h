// What is kept for a shard in the global store: its lock and the claim to initialise it.
#pragma once

#include <map>
#include <set>

#include "common/topoclient/fwd.h"
#include "common/topoclient/record.h"
#include "common/topoclient/store.h"

namespace multigres::topo {

// The resources that one piece of work has locked (CallContext::held).
class LockSet {
 public:
  bool Contains(const std::string& resource) const { return names_.contains(resource); }

 private:
  friend class ShardLock;
  std::set<std::string> names_;
};

// A shard, locked. Free it with Unlock(); destroyed without, its lease runs out by itself.
class ShardLock {
 public:
  // Waits for the lock at most store.options().lock_timeout. `action`: "initialise shard". Texts:
  // `only default tablegroup is supported, got: X`. INTERNAL if context.held has it already.
  static Awaitable<Result<std::unique_ptr<ShardLock>>> Acquire(Store& store, CallContext context,
                                                               clustermetadata::ShardKey shard, std::string action);
  // kNodeExists at once if it is locked.
  static Awaitable<Result<std::unique_ptr<ShardLock>>> TryAcquire(Store& store, CallContext context,
                                                                  clustermetadata::ShardKey shard, std::string action);
  ~ShardLock();

  Awaitable<Result<>> Check(CallContext context);
  // Takes at most remote_operation_timeout, whatever the caller's own deadline was.
  Awaitable<Result<>> Unlock();
  // Set as soon as the loss of the lock is noticed.
  Event& lost();

 private:
  ShardLock(Store& store, std::unique_ptr<Lock> lock, LockSet* held, std::string resource);
  static Awaitable<Result<std::unique_ptr<ShardLock>>> Take(Store& store, CallContext context, LockRequest request,
                                                            std::string_view operation);
  Store& store_;
  std::unique_ptr<Lock> lock_;
  LockSet* held_;
  std::string resource_;
};

// The right to initialise a shard, with the cohort that whoever holds it must use. Never deleted.
class ShardInitClaims {
 public:
  explicit ShardInitClaims(Store& store) : ShardInitClaims(store, store.clock()) {}
  ShardInitClaims(Store& store, Clock& clock) : store_(store), clock_(clock) {}
  // Claims for `wanted.claimer_id`. Returns the claim in the store, cohort included, if it is ours now: freshly
  // created, ours from before (same cell and name; the stored cohort wins over the wanted one), or taken over because
  // we have seen it unchanged for 30 s (the caller vouches that the shard is still uninitialised; the cohort is kept).
  // kNodeExists if it is another's.
  Awaitable<Result<clustermetadata::ShardInitClaim>> Claim(CallContext context, clustermetadata::ShardKey shard,
                                                           clustermetadata::ShardInitClaim wanted);
  static constexpr Duration kTakeOverAfter = std::chrono::seconds(30);

 private:
  struct Seen {
    Version version;
    TimePoint since;
  };
  Store& store_;
  Clock& clock_;
  std::map<std::string, Seen> seen_;  // by shard: other claimers' claims
};

}  // namespace multigres::topo
