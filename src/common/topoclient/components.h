// The records of components in their cell's store: M is MultiPooler, MultiGateway or MultiOrch (each with an `id`).
#pragma once

#include "common/topoclient/fwd.h"
#include "common/topoclient/record.h"
#include "common/topoclient/store.h"

namespace multigres::topo {

// kNodeExists. Returns the version written.
template <class M>
Awaitable<Result<Version>> CreateComponent(Store& store, CallContext context, M component);
// kNoNode.
template <class M>
Awaitable<Result<Record<M>>> GetComponent(Store& store, CallContext context, clustermetadata::ID id);
// kBadVersion.
template <class M>
Awaitable<Result<Version>> UpdateComponent(Store& store, CallContext context, M component, Version version);
// Read, mutate, compare-and-swap, again on kBadVersion; kNoNode if absent. Returns what is in the store then.
template <class M>
Awaitable<Result<Record<M>>> UpdateComponentFields(Store& store, CallContext context, clustermetadata::ID id,
                                                   Mutator<M> mutate);
// With a version: only that one (kBadVersion). kNoNode if absent.
template <class M>
Awaitable<Result<>> DeleteComponent(Store& store, CallContext context, clustermetadata::ID id,
                                    std::optional<Version> version);
// All of a cell, in the order of their keys; records of another cell (scopes may share a root) are dropped. One
// undecodable record fails the list. Empty without error if there is none.
template <class M>
Awaitable<Result<std::vector<Record<M>>>> ListComponents(Store& store, CallContext context, std::string cell);
// Those of all cells, at most read_concurrency cells at a time. A failing cell fails the list.
template <class M>
Awaitable<Result<std::vector<Record<M>>>> ListAllComponents(Store& store, CallContext context);

// Empty = any; a level without its parent is kBadInput.
struct PoolerFilter {
  std::string database;
  std::string table_group;
  std::string shard;
  Result<> Validate() const;
  bool Matches(const clustermetadata::MultiPooler& pooler) const;
};
Awaitable<Result<std::vector<Record<clustermetadata::MultiPooler>>>> ListPoolers(Store& store, CallContext context,
                                                                                 std::string cell, PoolerFilter filter);

// Create, or overwrite by compare-and-swap what is there under the same id. Returns the version written.
template <class M>
Awaitable<Result<Version>> RegisterComponent(Store& store, CallContext context, M component);

}  // namespace multigres::topo
