#include "common/topoclient/discovery.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/names.h"

namespace multigres::topo {

using clustermetadata::MultiPooler;
using namespace std::chrono_literals;

namespace {

constexpr Duration kStableAfter = 30s;

// One life of a watch; the error is why it ended.
Awaitable<Error> WatchOnce(Store& store, std::string cell, std::string path, WatchScope scope,
                           WatchConsumer& consumer) {
  auto connection = co_await store.ForCell({}, cell);
  if (!connection) co_return std::move(connection.error());
  auto watch = co_await (*connection)->OpenWatch({}, path, scope);
  if (!watch) {
    // A watched key that doesn't exist is a state too.
    if (Is(watch.error(), ErrorKind::kNoNode)) consumer.OnSnapshot({});
    co_return std::move(watch.error());
  }
  consumer.OnSnapshot((*watch)->initial());
  for (;;) {
    auto event = co_await (*watch)->Next();
    if (!event) co_return TopoError(ErrorKind::kInterrupted, path);
    const bool deletion = event->error && Is(*event->error, ErrorKind::kNoNode);
    if (event->error && !deletion) co_return std::move(*event->error);
    consumer.OnEvent(*event);
    if (deletion && scope == WatchScope::kKey) co_return std::move(*event->error);
  }
}

}  // namespace

Awaitable<void> FollowWatch(Store& store, std::string cell, std::string path, WatchScope scope,
                            WatchConsumer& consumer) {
  Jitter jitter(store.random(), 100ms, 30s);
  for (;;) {
    const TimePoint began = store.clock().Now();
    const Error error = co_await WatchOnce(store, cell, path, scope, consumer);
    if (!Is(error, ErrorKind::kNoNode)) {
      store.logger().Warn("topology watch ended", {{"cell", cell}, {"path", path}, {"error", error}});
    }
    consumer.OnBroken(error);
    if (store.clock().Now() - began >= kStableAfter) jitter.Reset();
    co_await SleepFor(store.clock(), jitter.Next());
  }
}

// The poolers of one cell. Shared between the discovery and the task that runs it.
struct PoolerDiscovery::CellWatch final : WatchConsumer {
  CellWatch(PoolerDiscovery& discovery, std::string cell)
      : discovery(discovery), cell(std::move(cell)), task(discovery.store_.reactor().executor()) {}

  void OnSnapshot(const std::vector<WatchEvent>& state) override {
    std::set<std::string> present;
    for (const WatchEvent& event : state) {
      if (auto id = ComponentIdOf(event.path)) present.insert(*id);
    }
    const std::set<std::string> before = known;
    for (const std::string& id : before) {
      if (!present.contains(id)) Gone(id);
    }
    for (const WatchEvent& event : state) OnEvent(event);
    settled = true;
  }

  void OnEvent(const WatchEvent& event) override {
    const auto id = ComponentIdOf(event.path);
    if (!id) return;
    if (event.error) {
      Gone(*id);
      return;
    }
    MultiPooler pooler;
    if (!pooler.ParseFromString(event.contents)) {
      discovery.store_.logger().Error("undecodable pooler record skipped", {{"cell", cell}, {"path", event.path}});
      return;
    }
    // Cells may share a root: what belongs to another cell is reported by that cell's watch.
    if (pooler.id().cell() != cell) return;
    known.insert(*id);
    discovery.observer_.OnPooler(cell, *id, pooler);
  }

  void OnBroken(const Error&) override { settled = true; }

  void Gone(const std::string& id) {
    if (known.erase(id) > 0) discovery.observer_.OnPoolerGone(cell, id);
  }

  // ".../poolers/<component id>/Pooler", relative or absolute; nothing for other keys.
  static std::optional<std::string> ComponentIdOf(std::string_view path) {
    static constexpr std::string_view kSuffix = "/Pooler";
    if (!path.ends_with(kSuffix)) return std::nullopt;
    path.remove_suffix(kSuffix.size());
    const auto slash = path.rfind('/');
    const auto id = slash == std::string_view::npos ? path : path.substr(slash + 1);
    if (id.empty()) return std::nullopt;
    return std::string(id);
  }

  PoolerDiscovery& discovery;
  std::string cell;
  std::set<std::string> known;
  bool settled = false;  // the first snapshot, or the first failure to get one, has been seen
  TaskGroup task;
};

// The cells of the cluster.
struct PoolerDiscovery::CellsWatch final : WatchConsumer {
  explicit CellsWatch(PoolerDiscovery& discovery) : discovery(discovery) {}

  void OnSnapshot(const std::vector<WatchEvent>& state) override {
    std::set<std::string> cells;
    for (const WatchEvent& event : state) {
      if (auto cell = CellOf(event.path)) cells.insert(*cell);
    }
    discovery.Reconcile(cells);
    discovery.cells_seen_ = true;
  }

  void OnEvent(const WatchEvent& event) override {
    const auto cell = CellOf(event.path);
    if (!cell) return;
    if (event.error) {
      discovery.Remove(*cell);
    } else {
      discovery.Add(*cell);
    }
  }

  static std::optional<std::string> CellOf(std::string_view path) {
    static constexpr std::string_view kSuffix = "/Cell";
    if (!path.ends_with(kSuffix)) return std::nullopt;
    path.remove_suffix(kSuffix.size());
    const auto slash = path.rfind('/');
    const auto cell = slash == std::string_view::npos ? path : path.substr(slash + 1);
    if (cell.empty()) return std::nullopt;
    return std::string(cell);
  }

  PoolerDiscovery& discovery;
};

PoolerDiscovery::PoolerDiscovery(Store& store, PoolerObserver& observer)
    : store_(store), observer_(observer), tasks_(store.reactor().executor()) {}

PoolerDiscovery::~PoolerDiscovery() = default;

void PoolerDiscovery::Start() {
  cells_watch_ = std::make_unique<CellsWatch>(*this);
  tasks_.Spawn("watch cells",
               FollowWatch(store_, std::string(kGlobalCell), "cells", WatchScope::kDirectory, *cells_watch_));
}

bool PoolerDiscovery::synced() const {
  if (!cells_seen_) return false;
  return std::all_of(cells_.begin(), cells_.end(), [](const auto& cell) { return cell.second->settled; });
}

void PoolerDiscovery::Reconcile(const std::set<std::string>& cells) {
  std::vector<std::string> removed;
  for (const auto& [cell, watch] : cells_) {
    if (!cells.contains(cell)) removed.push_back(cell);
  }
  for (const std::string& cell : removed) Remove(cell);
  for (const std::string& cell : cells) Add(cell);
}

Awaitable<void> PoolerDiscovery::Reconnect(Store& store, std::string cell) {
  // Re-reads the Cell record; a changed address closes the old connection and so ends its watch.
  co_await store.ForCell({}, cell);
}

void PoolerDiscovery::Add(const std::string& cell) {
  auto& watch = cells_[cell];
  if (watch) {
    tasks_.Spawn("reconnect cell " + cell, Reconnect(store_, cell));
    return;
  }
  watch = std::make_shared<CellWatch>(*this, cell);
  watch->task.Spawn("watch poolers of " + cell, FollowWatch(store_, cell, "poolers", WatchScope::kDirectory, *watch));
}

void PoolerDiscovery::Remove(const std::string& cell) {
  const auto it = cells_.find(cell);
  if (it == cells_.end()) return;
  auto watch = std::move(it->second);
  cells_.erase(it);
  // No event of the cell can follow: its task runs nothing but the unwinding from here on.
  watch->task.Cancel();
  std::erase_if(closing_, [](const auto& ended) { return ended->task.size() == 0; });
  closing_.push_back(watch);
  const std::set<std::string> known = std::move(watch->known);
  for (const std::string& id : known) observer_.OnPoolerGone(cell, id);
  observer_.OnCellGone(cell);
}

Awaitable<void> PoolerDiscovery::Stop() {
  co_await tasks_.CancelAndJoin();
  for (auto& [cell, watch] : cells_) closing_.push_back(watch);
  cells_.clear();
  for (auto& watch : closing_) co_await watch->task.CancelAndJoin();
  closing_.clear();
}

}  // namespace multigres::topo
