#include "common/topoclient/store.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/names.h"

namespace multigres::topo {

namespace {

Awaitable<void> CloseReplaced(std::shared_ptr<Connection> connection) {
  co_await connection->Close();
}

}  // namespace

Store::Store(Reactor& reactor, std::unique_ptr<Backend> backend, Random& random, Logger logger, StoreOptions options)
    : reactor_(reactor),
      backend_(std::move(backend)),
      random_(random),
      logger_(std::move(logger)),
      options_(std::move(options)),
      tasks_(reactor.executor()) {}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::Create(Reactor& reactor, std::unique_ptr<Backend> backend, Random& random,
                                             Logger logger, StoreOptions options) {
  if (options.global_addresses.empty()) {
    return FailTopo(ErrorKind::kBadInput, "topo-global-server-addresses must be configured");
  }
  if (options.global_root.empty()) return FailTopo(ErrorKind::kBadInput, "topo-global-root must be non-empty");
  std::unique_ptr<Store> store(new Store(reactor, std::move(backend), random, std::move(logger), std::move(options)));
  store->global_ =
      store->Open({std::string(kGlobalCell), store->options_.global_addresses, store->options_.global_root, nullptr});
  return store;
}

std::shared_ptr<Connection> Store::Open(ConnectionSpec spec) {
  std::string& status = status_[spec.cell];
  status.clear();
  spec.on_status = [&status](const std::string& text) { status = text; };
  return backend_->Connect(std::move(spec));
}

Awaitable<Result<std::shared_ptr<Connection>>> Store::ForCell(CallContext context, std::string cell) {
  if (cell == kGlobalCell) co_return global_;
  auto record = co_await GetCell(*this, context, cell);
  if (!record) {
    const auto cached = cells_.find(cell);
    if (cached != cells_.end() && !Is(record.error(), ErrorKind::kNoNode)) co_return cached->second.connection;
    co_return std::unexpected(std::move(record.error()));
  }
  ConnectionSpec spec;
  spec.cell = cell;
  spec.addresses.assign(record->value.server_addresses().begin(), record->value.server_addresses().end());
  spec.root = record->value.root();
  CellConnection& known = cells_[cell];
  if (known.connection && known.spec.addresses == spec.addresses && known.spec.root == spec.root) {
    co_return known.connection;
  }
  auto replaced = std::exchange(known.connection, Open(spec));
  known.spec = std::move(spec);
  auto opened = known.connection;
  if (replaced) tasks_.Spawn("close replaced topology connection", CloseReplaced(std::move(replaced)));
  co_return opened;
}

Awaitable<void> Store::Close() {
  auto cells = std::exchange(cells_, {});
  for (auto& [cell, known] : cells) co_await known.connection->Close();
  co_await global_->Close();
  co_await tasks_.Join();
}

}  // namespace multigres::topo
