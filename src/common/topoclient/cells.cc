#include "common/topoclient/cells.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/decode.h"
#include "common/topoclient/names.h"

namespace multigres::topo {

using clustermetadata::Cell;
using clustermetadata::Database;

namespace {

Awaitable<Result<std::vector<std::string>>> ChildNames(Store& store, CallContext context, std::string dir) {
  auto entries = co_await ListDir(store.global(), context, dir);
  std::vector<std::string> names;
  if (!entries) {
    if (Is(entries.error(), ErrorKind::kNoNode)) co_return names;
    co_return std::unexpected(std::move(entries.error()));
  }
  for (auto& entry : *entries) names.push_back(std::move(entry.name));
  co_return names;
}

template <class M>
Awaitable<Result<Record<M>>> GetGlobal(Store& store, CallContext context, std::string key) {
  auto read = co_await store.global().Get(context, key);
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return Decode<M>(key, read->contents, read->version);
}

template <class M>
Awaitable<Result<>> CreateGlobal(Store& store, CallContext context, std::string key, M message) {
  auto created = co_await store.global().Create(context, key, message.SerializeAsString());
  if (!created) co_return std::unexpected(std::move(created.error()));
  co_return Result<>();
}

template <class M>
Awaitable<Result<>> UpdateGlobalFields(Store& store, CallContext context, std::string key, std::string name,
                                       Mutator<M> mutate) {
  for (;;) {
    auto record = co_await GetGlobal<M>(store, context, key);
    const bool absent = !record && Is(record.error(), ErrorKind::kNoNode);
    if (!record && !absent) co_return std::unexpected(std::move(record.error()));
    M message;
    if (absent) {
      message.set_name(name);
    } else {
      message = record->value;
    }
    auto decision = mutate(message);
    if (!decision) co_return std::unexpected(std::move(decision.error()));
    if (*decision == Mutation::kNoUpdateNeeded) co_return Result<>();
    Result<Version> written = 0;
    if (absent) {
      written = co_await store.global().Create(context, key, message.SerializeAsString());
    } else {
      written = co_await store.global().Update(context, key, message.SerializeAsString(), record->version);
    }
    if (written) co_return Result<>();
    const ErrorKind kind = KindOf(written.error());
    const bool raced = kind == ErrorKind::kBadVersion || kind == ErrorKind::kNodeExists || kind == ErrorKind::kNoNode;
    if (!raced) co_return std::unexpected(std::move(written.error()));
  }
}

}  // namespace

Awaitable<Result<std::vector<std::string>>> CellNames(Store& store, CallContext context) {
  return ChildNames(store, context, "cells");
}

Awaitable<Result<Record<Cell>>> GetCell(Store& store, CallContext context, std::string name) {
  if (auto valid = ValidateCellName(name); !valid) co_return std::unexpected(std::move(valid.error()));
  co_return co_await GetGlobal<Cell>(store, context, CellKey(name));
}

Awaitable<Result<>> CreateCell(Store& store, CallContext context, Cell cell) {
  if (auto valid = ValidateCellName(cell.name()); !valid) co_return std::unexpected(std::move(valid.error()));
  std::string key = CellKey(cell.name());
  co_return co_await CreateGlobal(store, context, std::move(key), std::move(cell));
}

Awaitable<Result<>> UpdateCellFields(Store& store, CallContext context, std::string name, Mutator<Cell> mutate) {
  if (auto valid = ValidateCellName(name); !valid) co_return std::unexpected(std::move(valid.error()));
  co_return co_await UpdateGlobalFields<Cell>(store, context, CellKey(name), name, std::move(mutate));
}

Awaitable<Result<>> DeleteCell(Store& store, CallContext context, std::string name, bool force) {
  if (auto valid = ValidateCellName(name); !valid) co_return std::unexpected(std::move(valid.error()));
  if (!force) {
    auto databases = co_await DatabaseNames(store, context);
    if (!databases) co_return std::unexpected(std::move(databases.error()));
    for (const std::string& database : *databases) {
      auto record = co_await GetDatabase(store, context, database);
      if (!record) {
        if (Is(record.error(), ErrorKind::kNoNode)) continue;
        co_return std::unexpected(std::move(record.error()));
      }
      const auto& cells = record->value.cells();
      if (std::find(cells.begin(), cells.end(), name) != cells.end()) {
        co_return FailTopo(ErrorKind::kNodeNotEmpty, CellKey(name));
      }
    }
  }
  co_return co_await store.global().Delete(context, CellKey(name), std::nullopt);
}

Awaitable<Result<std::vector<std::string>>> DatabaseNames(Store& store, CallContext context) {
  return ChildNames(store, context, "databases");
}

Awaitable<Result<Record<Database>>> GetDatabase(Store& store, CallContext context, std::string name) {
  if (auto valid = ValidateDatabaseName(name); !valid) co_return std::unexpected(std::move(valid.error()));
  co_return co_await GetGlobal<Database>(store, context, DatabaseKey(name));
}

Awaitable<Result<>> CreateDatabase(Store& store, CallContext context, Database database) {
  if (auto valid = ValidateDatabaseName(database.name()); !valid) co_return std::unexpected(std::move(valid.error()));
  std::string key = DatabaseKey(database.name());
  co_return co_await CreateGlobal(store, context, std::move(key), std::move(database));
}

Awaitable<Result<>> UpdateDatabaseFields(Store& store, CallContext context, std::string name,
                                         Mutator<Database> mutate) {
  if (auto valid = ValidateDatabaseName(name); !valid) co_return std::unexpected(std::move(valid.error()));
  co_return co_await UpdateGlobalFields<Database>(store, context, DatabaseKey(name), name, std::move(mutate));
}

Awaitable<Result<>> DeleteDatabase(Store& store, CallContext context, std::string name) {
  if (auto valid = ValidateDatabaseName(name); !valid) co_return std::unexpected(std::move(valid.error()));
  co_return co_await store.global().Delete(context, DatabaseKey(name), std::nullopt);
}

}  // namespace multigres::topo
