#include "common/topoclient/shards.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/decode.h"
#include "common/topoclient/names.h"

namespace multigres::topo {

using clustermetadata::ShardInitClaim;
using clustermetadata::ShardKey;

ShardLock::ShardLock(Store& store, std::unique_ptr<Lock> lock, LockSet* held, std::string resource)
    : store_(store), lock_(std::move(lock)), held_(held), resource_(std::move(resource)) {
  if (held_ != nullptr) held_->names_.insert(resource_);
}

ShardLock::~ShardLock() {
  if (held_ != nullptr) held_->names_.erase(resource_);
}

namespace {

void Report(Store& store, std::string_view operation, const Error* error, TimePoint began) {
  if (!store.options().on_lock) return;
  std::string_view result = "success";
  if (error != nullptr) result = Is(*error, ErrorKind::kTimeout) ? "timeout" : "error";
  store.options().on_lock({operation, "shard", result, store.clock().Now() - began});
}

LockRequest RequestFor(Store& store, const ShardKey& shard, std::string_view action, LockMode mode) {
  LockRequest request;
  request.path = ShardDir(shard);
  request.contents = LockContents(action, store.clock().WallNow());
  request.mode = mode;
  // A shard is locked before anything is stored for it.
  request.require_directory = false;
  return request;
}

}  // namespace

Awaitable<Result<std::unique_ptr<ShardLock>>> ShardLock::Take(Store& store, CallContext context, LockRequest request,
                                                              std::string_view operation) {
  const std::string resource = request.path;
  if (context.held != nullptr && context.held->Contains(resource)) {
    co_return Fail(Code::kInternal, fmt::format("{} is already locked by this operation", resource));
  }
  const TimePoint began = store.clock().Now();
  context.deadline = context.deadline.Earlier(store.clock().After(store.options().lock_timeout));
  LockSet* held = context.held;
  auto lock = co_await store.global().AcquireLock(context, std::move(request));
  Report(store, operation, lock ? nullptr : &lock.error(), began);
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  co_return std::unique_ptr<ShardLock>(new ShardLock(store, std::move(*lock), held, resource));
}

Awaitable<Result<std::unique_ptr<ShardLock>>> ShardLock::Acquire(Store& store, CallContext context, ShardKey shard,
                                                                 std::string action) {
  if (auto valid = ValidateShard(shard.table_group(), shard.shard()); !valid) {
    co_return std::unexpected(std::move(valid.error()));
  }
  co_return co_await Take(store, context, RequestFor(store, shard, action, LockMode::kQueue), "lock");
}

Awaitable<Result<std::unique_ptr<ShardLock>>> ShardLock::TryAcquire(Store& store, CallContext context, ShardKey shard,
                                                                    std::string action) {
  if (auto valid = ValidateShard(shard.table_group(), shard.shard()); !valid) {
    co_return std::unexpected(std::move(valid.error()));
  }
  co_return co_await Take(store, context, RequestFor(store, shard, action, LockMode::kTry), "try_lock");
}

Awaitable<Result<>> ShardLock::Check(CallContext context) {
  return lock_->Check(context);
}

Awaitable<Result<>> ShardLock::Unlock() {
  const TimePoint began = store_.clock().Now();
  CallContext context;
  context.deadline = store_.clock().After(store_.options().remote_operation_timeout);
  auto unlocked = co_await lock_->Unlock(context);
  if (held_ != nullptr) held_->names_.erase(resource_);
  Report(store_, "unlock", unlocked ? nullptr : &unlocked.error(), began);
  co_return unlocked;
}

Event& ShardLock::lost() {
  return lock_->lost();
}

namespace {

bool SameClaimer(const ShardInitClaim& a, const ShardInitClaim& b) {
  return ClusterId(a.claimer_id()) == ClusterId(b.claimer_id());
}

}  // namespace

Awaitable<Result<ShardInitClaim>> ShardInitClaims::Claim(CallContext context, ShardKey shard, ShardInitClaim wanted) {
  if (auto valid = ValidateShard(shard.table_group(), shard.shard()); !valid) {
    co_return std::unexpected(std::move(valid.error()));
  }
  const std::string key = ShardInitClaimKey(shard);
  auto created = co_await store_.global().Create(context, key, wanted.SerializeAsString());
  if (created) co_return wanted;
  if (!Is(created.error(), ErrorKind::kNodeExists)) co_return std::unexpected(std::move(created.error()));

  auto read = co_await store_.global().Get(context, key);
  if (!read) co_return std::unexpected(std::move(read.error()));
  auto claim = Decode<ShardInitClaim>(key, read->contents, read->version);
  if (!claim) co_return std::unexpected(std::move(claim.error()));
  if (SameClaimer(claim->value, wanted)) {
    seen_.erase(key);
    co_return claim->value;
  }

  const TimePoint now = clock_.Now();
  const auto [seen, first] = seen_.try_emplace(key, Seen{claim->version, now});
  if (!first && seen->second.version != claim->version) seen->second = Seen{claim->version, now};
  if (now - seen->second.since < kTakeOverAfter) co_return FailTopo(ErrorKind::kNodeExists, key);

  *claim->value.mutable_claimer_id() = wanted.claimer_id();
  auto taken = co_await store_.global().Update(context, key, claim->value.SerializeAsString(), claim->version);
  if (!taken) {
    if (Is(taken.error(), ErrorKind::kBadVersion)) co_return FailTopo(ErrorKind::kNodeExists, key);
    co_return std::unexpected(std::move(taken.error()));
  }
  seen_.erase(key);
  co_return claim->value;
}

}  // namespace multigres::topo
