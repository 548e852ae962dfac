#include "common/topoclient/backup_lease.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/names.h"

namespace multigres::topo {

namespace {

std::string_view NameOf(BackupOperation operation) {
  switch (operation) {
    case BackupOperation::kCreateFirstBackup:
      return "create-first-backup";
    case BackupOperation::kBackup:
      return "backup";
    case BackupOperation::kExpire:
      return "expire";
  }
  return "backup";
}

void Report(Store& store, std::string_view operation, const Error* error, TimePoint began) {
  if (!store.options().on_lock) return;
  std::string_view result = "success";
  if (error != nullptr) result = Is(*error, ErrorKind::kTimeout) ? "timeout" : "error";
  store.options().on_lock({operation, "backup", result, store.clock().Now() - began});
}

}  // namespace

BackupLease::BackupLease(Store& store, std::unique_ptr<Lock> lock)
    : store_(store), lock_(std::move(lock)), tasks_(store.reactor().executor()) {}

BackupLease::~BackupLease() = default;

Awaitable<Result<std::unique_ptr<BackupLease>>> BackupLease::Acquire(Store& store, CallContext context,
                                                                     clustermetadata::ShardKey shard,
                                                                     BackupOperation operation, std::string pooler,
                                                                     bool* stole) {
  const TimePoint began = store.clock().Now();
  LockRequest request;
  request.path = BackupLockKey(shard);
  request.contents = LockContents(fmt::format("{} by {}", NameOf(operation), pooler), store.clock().WallNow());
  request.mode = LockMode::kExactKey;
  request.require_directory = false;
  request.ttl = kTtl;
  context.deadline = context.deadline.Earlier(store.clock().After(store.options().lock_timeout));
  auto lock = co_await store.global().AcquireLock(context, request);
  const bool taken = !lock && Is(lock.error(), ErrorKind::kNodeExists);
  if (taken && operation == BackupOperation::kBackup) {
    auto revoked = co_await store.global().RevokeLock(context, request.path);
    if (!revoked) co_return std::unexpected(std::move(revoked.error()));
    if (stole != nullptr) *stole = true;
    co_await SleepFor(store.clock(), kStealGrace);
    lock = co_await store.global().AcquireLock(context, request);
  }
  Report(store, "try_lock", lock ? nullptr : &lock.error(), began);
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  std::unique_ptr<BackupLease> lease(new BackupLease(store, std::move(*lock)));
  lease->tasks_.Spawn("check backup lease", KeepChecking(*lease));
  co_return lease;
}

Awaitable<void> BackupLease::KeepChecking(BackupLease& self) {
  Clock& clock = self.store_.clock();
  TimePoint confirmed = clock.Now();
  for (;;) {
    const bool lost = co_await self.lock_->lost().WaitUntil(clock, clock.After(kCheckInterval));
    if (!lost) {
      CallContext context;
      context.deadline = clock.After(kCheckInterval);
      auto check = co_await self.lock_->Check(context);
      if (check) confirmed = clock.Now();
      // A store that doesn't answer says nothing about the lease, as long as it can't have run out.
      const bool gone = !check && Is(check.error(), ErrorKind::kNoNode);
      if (!gone && clock.Now() - confirmed < kTtl) continue;
    }
    self.store_.logger().Error("backup lease lost", {{"key", self.lock_->key()}});
    self.work_.Cancel(CancelReason::kCancelled);
    co_return;
  }
}

Awaitable<Result<>> BackupLease::Release() {
  co_await tasks_.CancelAndJoin();
  const TimePoint began = store_.clock().Now();
  CallContext context;
  context.deadline = store_.clock().After(store_.options().remote_operation_timeout);
  auto unlocked = co_await lock_->Unlock(context);
  Report(store_, "unlock", unlocked ? nullptr : &unlocked.error(), began);
  co_return unlocked;
}

}  // namespace multigres::topo
