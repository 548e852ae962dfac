#include "common/topoclient/discovery.h"

#include <gtest/gtest.h>

#include "clustermetadata.pb.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/components.h"
#include "common/topoclient/memorytopo/testing.h"
#include "common/topoclient/pooler_cache.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::topo {
namespace {

using namespace std::chrono_literals;
using clustermetadata::Cell;
using clustermetadata::ID;
using clustermetadata::MultiPooler;

Cell MakeCell(const std::string& name) {
  Cell cell;
  cell.set_name(name);
  cell.add_server_addresses("memory");
  cell.set_root("/" + name);
  return cell;
}

MultiPooler MakePooler(const std::string& cell, const std::string& name, const std::string& host = "h") {
  MultiPooler pooler;
  pooler.mutable_id()->set_component(ID::MULTIPOOLER);
  pooler.mutable_id()->set_cell(cell);
  pooler.mutable_id()->set_name(name);
  pooler.set_hostname(host);
  return pooler;
}

class Recorder final : public PoolerObserver {
 public:
  void OnPooler(const std::string& cell, const std::string& id, const MultiPooler& pooler) override {
    events.push_back(fmt::format("+{}/{}={}", cell, id, pooler.hostname()));
  }
  void OnPoolerGone(const std::string& cell, const std::string& id) override {
    events.push_back(fmt::format("-{}/{}", cell, id));
  }
  void OnCellGone(const std::string& cell) override { events.push_back("-" + cell); }
  bool Has(const std::string& event) const { return std::ranges::find(events, event) != events.end(); }

  std::vector<std::string> events;
};

struct World {
  Reactor reactor;
  std::unique_ptr<Random> random = SeededRandom(1);
  MemoryTopo topo{reactor.clock()};
  std::unique_ptr<Store> store = NewMemoryStore(reactor, topo, *random);
  Recorder recorder;
  std::unique_ptr<PoolerDiscovery> discovery;

  template <class Condition>
  Awaitable<bool> Eventually(Condition condition) {
    const Deadline limit = reactor.clock().After(10s);
    while (!condition()) {
      if (limit.Passed(reactor.clock().Now())) co_return false;
      co_await SleepFor(reactor.clock(), 1ms);
    }
    co_return true;
  }
  Awaitable<bool> Sees(std::string event) {
    co_return co_await Eventually([this, &event] { return recorder.Has(event); });
  }
  static void Run(Awaitable<void> (*body)(World&)) {
    World world;
    RunOnReactor(world.reactor, Main(world, body));
  }
  static Awaitable<void> Main(World& w, Awaitable<void> (*body)(World&)) {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    (void)co_await CreateComponent(*w.store, {}, MakePooler("zone1", "a"));
    w.discovery = std::make_unique<PoolerDiscovery>(*w.store, w.recorder);
    w.discovery->Start();
    EXPECT_TRUE(co_await w.Eventually([&w] { return w.discovery->synced(); }));
    co_await body(w);
    co_await w.discovery->Stop();
    co_await w.store->Close();
  }
};

TEST(PoolerDiscovery, ReportsWhatIsThereAndWhatComes) {
  World::Run([](World& w) -> Awaitable<void> {
    EXPECT_TRUE(w.recorder.Has("+zone1/multipooler-zone1-a=h"));
    (void)co_await CreateComponent(*w.store, {}, MakePooler("zone1", "b"));
    EXPECT_TRUE(co_await w.Sees("+zone1/multipooler-zone1-b=h"));
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone2"));
    (void)co_await CreateComponent(*w.store, {}, MakePooler("zone2", "c"));
    EXPECT_TRUE(co_await w.Sees("+zone2/multipooler-zone2-c=h"));
    (void)co_await DeleteComponent<MultiPooler>(*w.store, {}, MakePooler("zone1", "a").id(), std::nullopt);
    EXPECT_TRUE(co_await w.Sees("-zone1/multipooler-zone1-a"));
  });
}

TEST(PoolerDiscovery, ReconcilesTheSnapshotAfterABrokenWatch) {
  World::Run([](World& w) -> Awaitable<void> {
    // The watch breaks and can't be opened again while a record goes and another comes.
    w.topo.FailOn(Operation::kWatch, "poolers", NoConnection());
    w.topo.CloseWatches("zone1", NoConnection());
    (void)co_await DeleteComponent<MultiPooler>(*w.store, {}, MakePooler("zone1", "a").id(), std::nullopt);
    (void)co_await CreateComponent(*w.store, {}, MakePooler("zone1", "b"));
    w.topo.ClearFailOn();
    EXPECT_TRUE(co_await w.Sees("-zone1/multipooler-zone1-a"));
    EXPECT_TRUE(co_await w.Sees("+zone1/multipooler-zone1-b=h"));
  });
}

TEST(PoolerDiscovery, ReportsTheEndOfACellAfterItsLastEvent) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await DeleteCell(*w.store, {}, "zone1", true);
    EXPECT_TRUE(co_await w.Sees("-zone1"));
    EXPECT_EQ(w.recorder.events.back(), "-zone1");
    EXPECT_TRUE(w.recorder.Has("-zone1/multipooler-zone1-a"));
  });
}

TEST(PoolerDiscovery, SkipsUndecodableRecordsAndOtherKeys) {
  World::Run([](World& w) -> Awaitable<void> {
    auto cell = co_await w.store->ForCell({}, "zone1");
    (void)co_await (*cell)->Create({}, "poolers/bad/Pooler", "\xff\xff");
    (void)co_await (*cell)->Create({}, "poolers/other/Notes", MakePooler("zone1", "x").SerializeAsString());
    (void)co_await CreateComponent(*w.store, {}, MakePooler("zone1", "last"));
    EXPECT_TRUE(co_await w.Sees("+zone1/multipooler-zone1-last=h"));
    EXPECT_EQ(w.recorder.events.size(), 2u);
  });
}

// PoolerCache.

class CacheListener final : public PoolerCache::Listener {
 public:
  void OnUpsert(const PoolerCache::Entry& entry) override { events.push_back("+" + entry.component_id); }
  void OnGone(const std::string& id) override { events.push_back("-" + id); }
  std::vector<std::string> events;
};

MultiPooler WithLifecycle(MultiPooler pooler, clustermetadata::PoolerLifecycleStatus status, std::int64_t at) {
  pooler.mutable_lifecycle_status()->set_status(status);
  pooler.mutable_lifecycle_status()->mutable_updated()->set_seconds(at);
  return pooler;
}

TEST(PoolerCache, SuppressesEqualRecords) {
  VirtualClock clock;
  CacheListener listener;
  PoolerCache cache(clock, listener, {});
  cache.OnPooler("zone1", "a", MakePooler("zone1", "a"));
  cache.OnPooler("zone1", "a", MakePooler("zone1", "a"));
  EXPECT_EQ(listener.events.size(), 1u);
  cache.OnPooler("zone1", "a", MakePooler("zone1", "a", "other"));
  EXPECT_EQ(listener.events.size(), 2u);
}

TEST(PoolerCache, AShutDownPoolerIsGoneAtOnceAndStaysSoForLateEvents) {
  VirtualClock clock;
  CacheListener listener;
  PoolerCache cache(clock, listener, {});
  const MultiPooler active = WithLifecycle(MakePooler("zone1", "a"), clustermetadata::LIFECYCLE_ACTIVE, 10);
  cache.OnPooler("zone1", "a", active);
  cache.OnPooler("zone1", "a", WithLifecycle(active, clustermetadata::LIFECYCLE_SHUTDOWN, 20));
  EXPECT_EQ(listener.events, (std::vector<std::string>{"+a", "-a"}));
  EXPECT_EQ(cache.Find("a"), nullptr);
  cache.OnPooler("zone1", "a", active);
  EXPECT_EQ(cache.Find("a"), nullptr);
  cache.OnPooler("zone1", "a", WithLifecycle(active, clustermetadata::LIFECYCLE_STARTING, 30));
  EXPECT_NE(cache.Find("a"), nullptr);
  EXPECT_EQ(listener.events.back(), "+a");
}

TEST(PoolerCache, AMissingRecordIsKeptForAGraceThatContactExtends) {
  VirtualClock clock;
  CacheListener listener;
  PoolerCache cache(clock, listener, {.missing_grace = 1h, .tombstone_grace = 1h});
  cache.OnPooler("zone1", "a", MakePooler("zone1", "a"));
  cache.OnPoolerGone("zone1", "a");
  clock.Advance(59min);
  cache.Sweep();
  EXPECT_NE(cache.Find("a"), nullptr);
  EXPECT_TRUE(cache.Find("a")->record_missing);
  cache.Contacted("a");
  clock.Advance(59min);
  cache.Sweep();
  EXPECT_NE(cache.Find("a"), nullptr);
  clock.Advance(2min);
  cache.Sweep();
  EXPECT_EQ(cache.Find("a"), nullptr);
  EXPECT_EQ(listener.events.back(), "-a");
}

TEST(PoolerCache, ARecordThatComesBackIsTheSamePooler) {
  VirtualClock clock;
  CacheListener listener;
  PoolerCache cache(clock, listener, {});
  cache.OnPooler("zone1", "a", MakePooler("zone1", "a"));
  cache.OnCellGone("zone1");
  cache.OnPooler("zone1", "a", MakePooler("zone1", "a"));
  EXPECT_FALSE(cache.Find("a")->record_missing);
  EXPECT_EQ(listener.events.size(), 1u);
}

}  // namespace
}  // namespace multigres::topo
