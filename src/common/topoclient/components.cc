#include "common/topoclient/components.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/decode.h"
#include "common/topoclient/names.h"

namespace multigres::topo {

using clustermetadata::ID;
using clustermetadata::MultiGateway;
using clustermetadata::MultiOrch;
using clustermetadata::MultiPooler;

namespace {

template <class M>
struct Layout;
template <>
struct Layout<MultiPooler> {
  static constexpr std::string_view kDir = "poolers";
  static constexpr std::string_view kFile = "Pooler";
};
template <>
struct Layout<MultiGateway> {
  static constexpr std::string_view kDir = "gateways";
  static constexpr std::string_view kFile = "Gateway";
};
template <>
struct Layout<MultiOrch> {
  static constexpr std::string_view kDir = "orchs";
  static constexpr std::string_view kFile = "Orch";
};

template <class M>
std::string KeyOf(const ID& id) {
  return JoinPath({Layout<M>::kDir, ComponentId(id), Layout<M>::kFile});
}

}  // namespace

template <class M>
Awaitable<Result<Version>> CreateComponent(Store& store, CallContext context, M component) {
  auto cell = co_await store.ForCell(context, component.id().cell());
  if (!cell) co_return std::unexpected(std::move(cell.error()));
  co_return co_await (*cell)->Create(context, KeyOf<M>(component.id()), component.SerializeAsString());
}

template <class M>
Awaitable<Result<Record<M>>> GetComponent(Store& store, CallContext context, ID id) {
  auto cell = co_await store.ForCell(context, id.cell());
  if (!cell) co_return std::unexpected(std::move(cell.error()));
  const std::string key = KeyOf<M>(id);
  auto read = co_await (*cell)->Get(context, key);
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return Decode<M>(key, read->contents, read->version);
}

template <class M>
Awaitable<Result<Version>> UpdateComponent(Store& store, CallContext context, M component, Version version) {
  auto cell = co_await store.ForCell(context, component.id().cell());
  if (!cell) co_return std::unexpected(std::move(cell.error()));
  co_return co_await (*cell)->Update(context, KeyOf<M>(component.id()), component.SerializeAsString(), version);
}

template <class M>
Awaitable<Result<Record<M>>> UpdateComponentFields(Store& store, CallContext context, ID id, Mutator<M> mutate) {
  for (;;) {
    auto record = co_await GetComponent<M>(store, context, id);
    if (!record) co_return std::unexpected(std::move(record.error()));
    auto decision = mutate(record->value);
    if (!decision) co_return std::unexpected(std::move(decision.error()));
    if (*decision == Mutation::kNoUpdateNeeded) co_return co_await GetComponent<M>(store, context, id);
    auto written = co_await UpdateComponent<M>(store, context, record->value, record->version);
    if (written) {
      record->version = *written;
      co_return record;
    }
    if (!Is(written.error(), ErrorKind::kBadVersion)) co_return std::unexpected(std::move(written.error()));
  }
}

template <class M>
Awaitable<Result<>> DeleteComponent(Store& store, CallContext context, ID id, std::optional<Version> version) {
  auto cell = co_await store.ForCell(context, id.cell());
  if (!cell) co_return std::unexpected(std::move(cell.error()));
  co_return co_await (*cell)->Delete(context, KeyOf<M>(id), version);
}

template <class M>
Awaitable<Result<std::vector<Record<M>>>> ListComponents(Store& store, CallContext context, std::string cell) {
  auto connection = co_await store.ForCell(context, cell);
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  std::vector<Record<M>> records;
  auto listed = co_await (*connection)->List(context, std::string(Layout<M>::kDir) + "/");
  if (!listed) {
    if (Is(listed.error(), ErrorKind::kNoNode)) co_return records;
    co_return std::unexpected(std::move(listed.error()));
  }
  const std::string suffix = "/" + std::string(Layout<M>::kFile);
  for (const KeyValue& entry : *listed) {
    if (!entry.key.ends_with(suffix)) continue;
    auto record = Decode<M>(entry.key, entry.contents, entry.version);
    if (!record) co_return std::unexpected(std::move(record.error()));
    if (record->value.id().cell() == cell) records.push_back(std::move(*record));
  }
  co_return records;
}

namespace {

// Shared, because the readers go on if whoever asked is cancelled.
template <class M>
struct CellReads {
  std::vector<std::string> cells;
  std::vector<Result<std::vector<Record<M>>>> results;
  std::size_t next = 0;
  std::size_t readers = 0;
  Event done;
};

template <class M>
Awaitable<void> ReadCells(Store& store, CallContext context, std::shared_ptr<CellReads<M>> reads) {
  while (reads->next < reads->cells.size()) {
    const std::size_t index = reads->next++;
    reads->results[index] = co_await ListComponents<M>(store, context, reads->cells[index]);
  }
  if (--reads->readers == 0) reads->done.Set();
}

}  // namespace

template <class M>
Awaitable<Result<std::vector<Record<M>>>> ListAllComponents(Store& store, CallContext context) {
  auto cells = co_await CellNames(store, context);
  if (!cells) co_return std::unexpected(std::move(cells.error()));
  std::vector<Record<M>> all;
  if (cells->empty()) co_return all;
  auto reads = std::make_shared<CellReads<M>>();
  reads->cells = std::move(*cells);
  reads->results.resize(reads->cells.size());
  reads->readers = std::clamp<std::size_t>(store.options().read_concurrency, 1, reads->cells.size());
  context.cancel = nullptr;
  const std::size_t readers = reads->readers;
  for (std::size_t i = 0; i < readers; ++i) {
    store.background().Spawn("read cell", ReadCells<M>(store, context, reads));
  }
  co_await reads->done.Wait();
  for (auto& result : reads->results) {
    if (!result) co_return std::unexpected(std::move(result.error()));
    std::move(result->begin(), result->end(), std::back_inserter(all));
  }
  co_return all;
}

template <class M>
Awaitable<Result<Version>> RegisterComponent(Store& store, CallContext context, M component) {
  for (;;) {
    auto created = co_await CreateComponent<M>(store, context, component);
    if (created || !Is(created.error(), ErrorKind::kNodeExists)) co_return created;
    auto old = co_await GetComponent<M>(store, context, component.id());
    if (!old) {
      if (Is(old.error(), ErrorKind::kNoNode)) continue;
      co_return std::unexpected(std::move(old.error()));
    }
    auto written = co_await UpdateComponent<M>(store, context, component, old->version);
    if (written || !Is(written.error(), ErrorKind::kBadVersion)) co_return written;
  }
}

Result<> PoolerFilter::Validate() const {
  if (database.empty() && !(table_group.empty() && shard.empty())) {
    return FailTopo(ErrorKind::kBadInput, "table group or shard given without a database");
  }
  if (table_group.empty() && !shard.empty()) {
    return FailTopo(ErrorKind::kBadInput, "shard given without a table group");
  }
  return {};
}

bool PoolerFilter::Matches(const MultiPooler& pooler) const {
  const auto& key = pooler.shard_key();
  return (database.empty() || key.database() == database) &&
         (table_group.empty() || key.table_group() == table_group) && (shard.empty() || key.shard() == shard);
}

Awaitable<Result<std::vector<Record<MultiPooler>>>> ListPoolers(Store& store, CallContext context, std::string cell,
                                                                PoolerFilter filter) {
  if (auto valid = filter.Validate(); !valid) co_return std::unexpected(std::move(valid.error()));
  auto poolers = co_await ListComponents<MultiPooler>(store, context, cell);
  if (poolers) std::erase_if(*poolers, [&](const auto& record) { return !filter.Matches(record.value); });
  co_return poolers;
}

// NOLINTBEGIN(bugprone-macro-parentheses): M is a type.
#define MULTIGRES_INSTANTIATE(M)                                                                          \
  template Awaitable<Result<Version>> CreateComponent(Store&, CallContext, M);                            \
  template Awaitable<Result<Record<M>>> GetComponent<M>(Store&, CallContext, ID);                         \
  template Awaitable<Result<Version>> UpdateComponent(Store&, CallContext, M, Version);                   \
  template Awaitable<Result<Record<M>>> UpdateComponentFields(Store&, CallContext, ID, Mutator<M>);       \
  template Awaitable<Result<>> DeleteComponent<M>(Store&, CallContext, ID, std::optional<Version>);       \
  template Awaitable<Result<std::vector<Record<M>>>> ListComponents<M>(Store&, CallContext, std::string); \
  template Awaitable<Result<std::vector<Record<M>>>> ListAllComponents<M>(Store&, CallContext);           \
  template Awaitable<Result<Version>> RegisterComponent(Store&, CallContext, M);
MULTIGRES_INSTANTIATE(MultiPooler)
MULTIGRES_INSTANTIATE(MultiGateway)
MULTIGRES_INSTANTIATE(MultiOrch)
#undef MULTIGRES_INSTANTIATE
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace multigres::topo
