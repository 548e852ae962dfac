// The right to back up a shard, one pooler at a time.
#pragma once

#include <memory>
#include <string>

#include "common/topoclient/fwd.h"
#include "common/topoclient/store.h"
#include "tools/async/task_group.h"

namespace multigres::topo {

enum class BackupOperation : std::uint8_t { kCreateFirstBackup, kBackup, kExpire };

// A lease of 30 s on the shard's backup lock, checked every 10 s while held.
class BackupLease {
 public:
  static constexpr Duration kTtl = std::chrono::seconds(30);
  static constexpr Duration kCheckInterval = std::chrono::seconds(10);
  static constexpr Duration kStealGrace = std::chrono::seconds(5);

  // `pooler`: who holds it, for people. kNodeExists if another has it: at once for create-first-backup and expire;
  // backup revokes the other's lease, waits 5 s for its work to notice, and tries once more. `stole` (may be null) is
  // set if it came to that.
  static Awaitable<Result<std::unique_ptr<BackupLease>>> Acquire(Store& store, CallContext context,
                                                                 clustermetadata::ShardKey shard,
                                                                 BackupOperation operation, std::string pooler,
                                                                 bool* stole = nullptr);
  ~BackupLease();

  // Cancelled (kCancelled) when the lease is lost: the work must end then, with the error `lease lost`.
  CancelToken& work() { return work_; }
  // Ends the checking and frees the lock. Await it before destruction.
  Awaitable<Result<>> Release();

 private:
  BackupLease(Store& store, std::unique_ptr<Lock> lock);
  static Awaitable<void> KeepChecking(BackupLease& self);

  Store& store_;
  std::unique_ptr<Lock> lock_;
  CancelToken work_;
  TaskGroup tasks_;
};

}  // namespace multigres::topo
