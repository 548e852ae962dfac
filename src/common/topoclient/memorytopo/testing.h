// A store in memory for this folder's tests, and for those of whoever uses topologies.
#pragma once

#include <memory>

#include "common/topoclient/memorytopo/memory_topo.h"
#include "common/topoclient/store.h"

namespace multigres::topo {

// `topo` and `random` must outlive the store.
inline std::unique_ptr<Store> NewMemoryStore(Reactor& reactor, MemoryTopo& topo, Random& random,
                                             StoreOptions options = {}) {
  if (options.global_addresses.empty()) options.global_addresses = {"memory"};
  if (options.global_root.empty()) options.global_root = "/global";
  return std::move(*Store::Create(reactor, topo.NewBackend(), random, Logger(), std::move(options)));
}

}  // namespace multigres::topo
