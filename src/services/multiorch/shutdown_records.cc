#include "services/multiorch/shutdown_records.h"

#include "clustermetadata.pb.h"
#include "common/consensus/wall_time.h"
#include "common/topoclient/components.h"

namespace multigres::orch {

Awaitable<Result<int>> DeleteOldShutdownRecords(topo::Store& store, const WatchTargets& targets, Deadline deadline) {
  auto records = co_await topo::ListAllComponents<clustermetadata::MultiPooler>(store, {.deadline = deadline});
  if (!records) co_return std::unexpected(std::move(records.error()));
  int deleted = 0;
  for (const auto& record : *records) {
    const auto& lifecycle = record.value.lifecycle_status();
    if (lifecycle.status() != clustermetadata::LIFECYCLE_SHUTDOWN || !lifecycle.has_updated()) continue;
    if (!targets.Matches(record.value.shard_key())) continue;
    if (store.clock().WallNow() - consensus::FromTimestamp(lifecycle.updated()) <= kKeepShutdownRecords) continue;
    auto done = co_await topo::DeleteComponent<clustermetadata::MultiPooler>(store, {.deadline = deadline},
                                                                             record.value.id(), record.version);
    if (!done && !topo::Is(done.error(), topo::ErrorKind::kBadVersion) &&
        !topo::Is(done.error(), topo::ErrorKind::kNoNode)) {
      co_return std::unexpected(std::move(done.error()));
    }
    if (done) ++deleted;
  }
  co_return deleted;
}

}  // namespace multigres::orch
