// Cell and Database records of the global store.
#pragma once

#include "common/topoclient/fwd.h"
#include "common/topoclient/record.h"
#include "common/topoclient/store.h"

namespace multigres::topo {

// Sorted; empty without error if there is none.
Awaitable<Result<std::vector<std::string>>> CellNames(Store& store, CallContext context);
Awaitable<Result<Record<clustermetadata::Cell>>> GetCell(Store& store, CallContext context, std::string name);
// kNodeExists.
Awaitable<Result<>> CreateCell(Store& store, CallContext context, clustermetadata::Cell cell);
// Read, mutate, compare-and-swap, again on kBadVersion. An absent record is created from an empty one (with its name).
Awaitable<Result<>> UpdateCellFields(Store& store, CallContext context, std::string name,
                                     Mutator<clustermetadata::Cell> mutate);
// kNodeNotEmpty if a database lists the cell, unless forced.
Awaitable<Result<>> DeleteCell(Store& store, CallContext context, std::string name, bool force);

// Sorted directory children: a shard's lock or claim alone makes a database's name appear.
Awaitable<Result<std::vector<std::string>>> DatabaseNames(Store& store, CallContext context);
Awaitable<Result<Record<clustermetadata::Database>>> GetDatabase(Store& store, CallContext context, std::string name);
Awaitable<Result<>> CreateDatabase(Store& store, CallContext context, clustermetadata::Database database);
Awaitable<Result<>> UpdateDatabaseFields(Store& store, CallContext context, std::string name,
                                         Mutator<clustermetadata::Database> mutate);
// Checks nothing.
Awaitable<Result<>> DeleteDatabase(Store& store, CallContext context, std::string name);

}  // namespace multigres::topo
