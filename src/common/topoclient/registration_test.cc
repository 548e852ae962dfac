#include "common/topoclient/registration.h"

#include <gtest/gtest.h>

#include "clustermetadata.pb.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/memorytopo/testing.h"

namespace multigres::topo {
namespace {

using namespace std::chrono_literals;
using clustermetadata::Cell;
using clustermetadata::ID;
using clustermetadata::MultiGateway;
using clustermetadata::MultiOrch;
using clustermetadata::MultiPooler;

struct World {
  Reactor reactor;
  std::unique_ptr<Random> random = SeededRandom(1);
  MemoryTopo topo{reactor.clock()};
  std::unique_ptr<Store> store = NewMemoryStore(reactor, topo, *random);

  template <class Condition>
  Awaitable<bool> Eventually(Condition condition) {
    const Deadline limit = reactor.clock().After(10s);
    while (!condition()) {
      if (limit.Passed(reactor.clock().Now())) co_return false;
      co_await SleepFor(reactor.clock(), 1ms);
    }
    co_return true;
  }
  // Waits until the record is there.
  template <class M>
  Awaitable<bool> HasRecord(ID id) {
    const Deadline limit = reactor.clock().After(10s);
    for (;;) {
      auto stored = co_await GetComponent<M>(*store, {}, id);
      if (stored) co_return true;
      if (limit.Passed(reactor.clock().Now())) co_return false;
      co_await SleepFor(reactor.clock(), 1ms);
    }
  }
  static void Run(Awaitable<void> (*body)(World&)) {
    World world;
    RunOnReactor(world.reactor, Main(world, body));
  }
  static Awaitable<void> Main(World& w, Awaitable<void> (*body)(World&)) {
    for (const char* name : {"zone1", "zone2"}) {
      Cell cell;
      cell.set_name(name);
      cell.add_server_addresses("memory");
      cell.set_root("/" + std::string(name));
      (void)co_await CreateCell(*w.store, {}, cell);
    }
    co_await body(w);
    co_await w.store->Close();
  }
};

template <class M>
M Make(ID::ComponentType type, const std::string& cell, const std::string& name) {
  M component;
  component.mutable_id()->set_component(type);
  component.mutable_id()->set_cell(cell);
  component.mutable_id()->set_name(name);
  return component;
}
MultiGateway Gateway(const std::string& cell, const std::string& name) {
  return Make<MultiGateway>(ID::MULTIGATEWAY, cell, name);
}

TEST(RegisterGateway, GivesEachGatewayOfAllCellsAPrefixOfItsOwnAndKeepsIt) {
  World::Run([](World& w) -> Awaitable<void> {
    auto one = co_await RegisterGateway(*w.store, {}, Gateway("zone1", "a"));
    auto two = co_await RegisterGateway(*w.store, {}, Gateway("zone2", "b"));
    EXPECT_TRUE(one && two);
    EXPECT_GE(one->value.pid_prefix(), 1u);
    EXPECT_LE(one->value.pid_prefix(), 2047u);
    EXPECT_NE(one->value.pid_prefix(), two->value.pid_prefix());
    auto again = co_await RegisterGateway(*w.store, {}, Gateway("zone1", "a"));
    EXPECT_EQ(again->value.pid_prefix(), one->value.pid_prefix());
    EXPECT_GT(again->version, one->version);
  });
}

TEST(RegisterGateway, AnEarlierLifeDoesNotUnregisterALaterOne) {
  World::Run([](World& w) -> Awaitable<void> {
    auto old = co_await RegisterGateway(*w.store, {}, Gateway("zone1", "a"));
    auto now = co_await RegisterGateway(*w.store, {}, Gateway("zone1", "a"));
    auto stale = co_await UnregisterGateway(*w.store, *old);
    EXPECT_TRUE(!stale && Is(stale.error(), ErrorKind::kBadVersion));
    auto right = co_await UnregisterGateway(*w.store, *now);
    EXPECT_TRUE(right);
  });
}

TEST(RegisterGateway, TriesAgainAndGivesUpAtTheDeadline) {
  World::Run([](World& w) -> Awaitable<void> {
    w.topo.FailOn(Operation::kCreate, "gateways", NoConnection(), MemoryTopo::Times::kOnce);
    auto registered = co_await RegisterGateway(*w.store, {}, Gateway("zone1", "a"));
    EXPECT_TRUE(registered);
    w.topo.FailAll(NoConnection());
    CallContext soon;
    soon.deadline = w.reactor.clock().After(20ms);
    auto failed = co_await RegisterGateway(*w.store, soon, Gateway("zone1", "b"));
    EXPECT_FALSE(failed);
    EXPECT_TRUE(failed.error().message().starts_with("Failed to register component with topology: "));
    w.topo.ClearFailAll();
  });
}

TEST(OrchRegistration, GoesOnInTheBackgroundUntilItSucceeds) {
  World::Run([](World& w) -> Awaitable<void> {
    w.topo.FailAll(NoConnection());
    OrchRegistration registration(*w.store, Make<MultiOrch>(ID::MULTIORCH, "zone1", "o"));
    co_await registration.Start();
    EXPECT_FALSE(registration.registered());
    EXPECT_EQ(registration.status(), "Failed to register component with topology: no connection available");
    w.topo.ClearFailAll();
    EXPECT_TRUE(co_await w.Eventually([&] { return registration.registered(); }));
    EXPECT_EQ(registration.status(), "");
    auto stopped = co_await registration.Stop();
    EXPECT_TRUE(stopped);
    auto orchs = co_await ListComponents<MultiOrch>(*w.store, {}, "zone1");
    EXPECT_TRUE(orchs->empty());
  });
}

TEST(OrchRegistration, ComesBackWhenTheStoreHasForgottenIt) {
  World::Run([](World& w) -> Awaitable<void> {
    const MultiOrch orch = Make<MultiOrch>(ID::MULTIORCH, "zone1", "o");
    OrchRegistration registration(*w.store, orch, 5ms);
    co_await registration.Start();
    auto wiped = co_await DeleteComponent<MultiOrch>(*w.store, {}, orch.id(), std::nullopt);
    EXPECT_TRUE(wiped);
    EXPECT_TRUE(co_await w.HasRecord<MultiOrch>(orch.id()));
    auto stopped = co_await registration.Stop();
    EXPECT_TRUE(stopped);
    auto orchs = co_await ListComponents<MultiOrch>(*w.store, {}, "zone1");
    EXPECT_TRUE(orchs->empty());
  });
}

TEST(GatewayKeeper, WritesTheSameRecordAgainAndUnregistersIt) {
  World::Run([](World& w) -> Awaitable<void> {
    auto registered = co_await RegisterGateway(*w.store, {}, Gateway("zone1", "g"));
    const ID id = registered->value.id();
    const auto prefix = registered->value.pid_prefix();
    GatewayKeeper keeper(*w.store, std::move(*registered), 5ms);
    auto wiped = co_await DeleteComponent<MultiGateway>(*w.store, {}, id, std::nullopt);
    EXPECT_TRUE(wiped);
    EXPECT_TRUE(co_await w.HasRecord<MultiGateway>(id));
    auto again = co_await GetComponent<MultiGateway>(*w.store, {}, id);
    EXPECT_EQ(again->value.pid_prefix(), prefix);
    auto stopped = co_await keeper.Stop();
    EXPECT_TRUE(stopped);
    auto gateways = co_await ListComponents<MultiGateway>(*w.store, {}, "zone1");
    EXPECT_TRUE(gateways->empty());
  });
}

TEST(PoolerPublisher, RegistersAsStartingPublishesChangesAndStaysAsShutDown) {
  World::Run([](World& w) -> Awaitable<void> {
    MultiPooler pooler = Make<MultiPooler>(ID::MULTIPOOLER, "zone1", "p");
    PoolerPublisher publisher(*w.store, pooler);
    co_await publisher.Start();
    auto first = co_await GetComponent<MultiPooler>(*w.store, {}, pooler.id());
    EXPECT_TRUE(first);
    EXPECT_EQ(first->value.serving_status(), clustermetadata::DISABLED);
    EXPECT_EQ(first->value.lifecycle_status().status(), clustermetadata::LIFECYCLE_STARTING);

    MultiPooler changed = publisher.wanted();
    changed.set_serving_status(clustermetadata::SERVING);
    changed.mutable_routing_state()->set_role(clustermetadata::PRIMARY);
    publisher.Publish(changed);
    Record<MultiPooler> seen;
    for (int i = 0; i < 1000 && seen.value.serving_status() != clustermetadata::SERVING; ++i) {
      auto read = co_await GetComponent<MultiPooler>(*w.store, {}, pooler.id());
      if (read && read->version != first->version) seen = *read;
      if (seen.version == 0) co_await SleepFor(w.reactor.clock(), 1ms);
      if (seen.version != 0) break;
    }
    EXPECT_EQ(seen.value.serving_status(), clustermetadata::SERVING);

    auto stopped = co_await publisher.Stop("stopped by an operator");
    EXPECT_TRUE(stopped);
    auto last = co_await GetComponent<MultiPooler>(*w.store, {}, pooler.id());
    EXPECT_EQ(last->value.lifecycle_status().status(), clustermetadata::LIFECYCLE_SHUTDOWN);
    EXPECT_EQ(last->value.lifecycle_status().reason(), "stopped by an operator");
    EXPECT_EQ(last->value.serving_status(), clustermetadata::DISABLED);
    EXPECT_FALSE(last->value.has_routing_state());
  });
}

TEST(PoolerPublisher, ComesBackWhenTheStoreHasForgottenItHoweverOftenItPublishes) {
  World::Run([](World& w) -> Awaitable<void> {
    const MultiPooler pooler = Make<MultiPooler>(ID::MULTIPOOLER, "zone1", "p");
    PoolerPublisher publisher(*w.store, pooler, 20ms);
    co_await publisher.Start();
    auto wiped = co_await DeleteComponent<MultiPooler>(*w.store, {}, pooler.id(), std::nullopt);
    EXPECT_TRUE(wiped);
    const Deadline limit = w.reactor.clock().After(10s);
    for (bool there = false; !there;) {
      EXPECT_FALSE(limit.Passed(w.reactor.clock().Now()));
      if (limit.Passed(w.reactor.clock().Now())) break;
      const MultiPooler same = publisher.wanted();
      publisher.Publish(same);
      co_await SleepFor(w.reactor.clock(), 1ms);
      auto stored = co_await GetComponent<MultiPooler>(*w.store, {}, pooler.id());
      there = stored.has_value();
    }
    auto stopped = co_await publisher.Stop("over");
    EXPECT_TRUE(stopped);
  });
}

}  // namespace
}  // namespace multigres::topo
