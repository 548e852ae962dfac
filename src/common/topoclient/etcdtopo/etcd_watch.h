// The feeding of one watch from etcd.
#pragma once

#include <memory>
#include <string>

#include "common/topoclient/etcdtopo/etcd_client.h"

namespace multigres::topo {

struct EtcdWatchSpec {
  std::string key;
  std::string range_end;  // empty = the key alone
  std::string base;       // taken off the keys
  WatchScope scope = WatchScope::kKey;
  Version next_revision = 0;  // the first that hasn't been seen
};

// Runs until the watch ends. A broken stream is opened again from the last revision seen: ten times at once, then after
// 1, 2, 3... s (at most 30). A compaction of what hasn't been seen, or a cancellation by the server, ends the watch.
Awaitable<void> FeedEtcdWatch(EtcdClient& client, EtcdWatchSpec spec, std::shared_ptr<Watch::Feed> feed);

}  // namespace multigres::topo
