#include "services/multiadmin/discovery.h"

#include <array>

#include "clustermetadata.pb.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/components.h"
#include "common/topoclient/names.h"

namespace multigres::admin {

using clustermetadata::ID;
using clustermetadata::MultiGateway;
using clustermetadata::MultiOrch;
using clustermetadata::MultiPooler;

namespace {

struct KindNames {
  ServiceKind kind;
  std::string_view path_name;
  std::string_view title;
};
constexpr std::array<KindNames, 3> kKinds = {{
    {ServiceKind::kGateway, "gate", "multigateway"},
    {ServiceKind::kPooler, "pool", "multipooler"},
    {ServiceKind::kOrch, "orch", "multiorch"},
}};

template <class M>
DiscoveredService Describe(ServiceKind kind, const M& record) {
  DiscoveredService service{.kind = kind, .name = record.id().name(), .http = std::nullopt};
  const auto port = record.port_map().find("http");
  if (port != record.port_map().end() && port->second > 0) {
    service.http.emplace(TcpAddress{record.hostname(), static_cast<std::uint16_t>(port->second)});
  }
  return service;
}

template <class M>
Awaitable<Result<>> AddServices(topo::Store& store, topo::CallContext context, ServiceKind kind, DiscoveredCell& cell) {
  auto records = co_await topo::ListComponents<M>(store, context, cell.name);
  if (!records) co_return Fail(std::move(records), fmt::format("{}s", Title(kind)));
  for (const auto& record : *records) cell.services.push_back(Describe(kind, record.value));
  co_return Result<>();
}

Awaitable<void> ReadCell(topo::Store& store, topo::CallContext context, DiscoveredCell& cell) {
  auto read = co_await AddServices<MultiGateway>(store, context, ServiceKind::kGateway, cell);
  if (read) read = co_await AddServices<MultiPooler>(store, context, ServiceKind::kPooler, cell);
  if (read) read = co_await AddServices<MultiOrch>(store, context, ServiceKind::kOrch, cell);
  if (!read) cell.error = read.error().message();
}

// Shared, because the readers go on if whoever asked is gone.
struct CellReads {
  std::vector<DiscoveredCell> cells;
  std::size_t unfinished = 0;
  Event done;
};

Awaitable<void> ReadOne(topo::Store& store, topo::CallContext context, std::shared_ptr<CellReads> reads,
                        std::size_t index) {
  co_await ReadCell(store, context, reads->cells[index]);
  if (--reads->unfinished == 0) reads->done.Set();
}

template <class M>
Awaitable<Result<DiscoveredService>> Find(topo::Store& store, topo::CallContext context, ServiceKind kind, ID id) {
  auto record = co_await topo::GetComponent<M>(store, context, id);
  if (!record) co_return std::unexpected(std::move(record.error()));
  co_return Describe(kind, record->value);
}

}  // namespace

std::string_view PathName(ServiceKind kind) {
  return kKinds[static_cast<std::size_t>(kind)].path_name;
}

std::optional<ServiceKind> ParseServiceKind(std::string_view path_name) {
  for (const KindNames& names : kKinds) {
    if (names.path_name == path_name) return names.kind;
  }
  return std::nullopt;
}

std::string_view Title(ServiceKind kind) {
  return kKinds[static_cast<std::size_t>(kind)].title;
}

Awaitable<Result<std::vector<DiscoveredCell>>> DiscoverServices(topo::Store& store, Deadline deadline) {
  topo::CallContext context;
  context.deadline = deadline;
  auto names = co_await topo::CellNames(store, context);
  if (!names) co_return std::unexpected(std::move(names.error()));
  auto reads = std::make_shared<CellReads>();
  for (std::string& name : *names) reads->cells.emplace_back().name = std::move(name);
  reads->unfinished = reads->cells.size();
  for (std::size_t i = 0; i < reads->cells.size(); ++i) {
    store.background().Spawn("discover services", ReadOne(store, context, reads, i));
  }
  if (reads->unfinished > 0) co_await reads->done.Wait();
  co_return std::move(reads->cells);
}

Awaitable<Result<DiscoveredService>> FindService(topo::Store& store, Deadline deadline, ServiceKind kind,
                                                 std::string cell, std::string name) {
  topo::CallContext context;
  context.deadline = deadline;
  ID id;
  id.set_cell(cell);
  id.set_name(name);
  Result<DiscoveredService> found = Fail(Code::kNotFound, "");
  // The names come from a URL: one that no cell can have isn't looked up (`global` would read another scope).
  const bool possible = topo::ValidateCellName(cell).has_value();
  if (possible && kind == ServiceKind::kGateway) {
    id.set_component(ID::MULTIGATEWAY);
    found = co_await Find<MultiGateway>(store, context, kind, id);
  } else if (possible && kind == ServiceKind::kPooler) {
    id.set_component(ID::MULTIPOOLER);
    found = co_await Find<MultiPooler>(store, context, kind, id);
  } else if (possible) {
    id.set_component(ID::MULTIORCH);
    found = co_await Find<MultiOrch>(store, context, kind, id);
  }
  if (!found && topo::Is(found.error(), topo::ErrorKind::kNoNode)) {
    co_return Fail(Code::kNotFound, fmt::format("{} '{}' in cell '{}' not found", Title(kind), name, cell));
  }
  co_return found;
}

}  // namespace multigres::admin
