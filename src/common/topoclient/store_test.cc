#include "common/topoclient/store.h"

#include <gtest/gtest.h>

#include "clustermetadata.pb.h"
#include "common/topoclient/backup_lease.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/components.h"
#include "common/topoclient/memorytopo/testing.h"
#include "common/topoclient/names.h"
#include "common/topoclient/shards.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::topo {
namespace {

using namespace std::chrono_literals;
using clustermetadata::Cell;
using clustermetadata::Database;
using clustermetadata::ID;
using clustermetadata::MultiGateway;
using clustermetadata::MultiPooler;
using clustermetadata::ShardInitClaim;
using clustermetadata::ShardKey;

struct World {
  Reactor reactor;
  std::unique_ptr<Random> random = SeededRandom(1);
  MemoryTopo topo{reactor.clock()};
  std::vector<StoreOptions::LockSample> samples;
  std::unique_ptr<Store> store;

  static void Run(Awaitable<void> (*body)(World&)) {
    World world;
    StoreOptions options;
    options.on_lock = [&world](const StoreOptions::LockSample& sample) { world.samples.push_back(sample); };
    world.store = NewMemoryStore(world.reactor, world.topo, *world.random, std::move(options));
    RunOnReactor(world.reactor, Main(world, body));
  }
  static Awaitable<void> Main(World& world, Awaitable<void> (*body)(World&)) {
    co_await body(world);
    co_await world.store->Close();
  }
};

Cell MakeCell(const std::string& name, const std::string& address = "memory") {
  Cell cell;
  cell.set_name(name);
  cell.add_server_addresses(address);
  cell.set_root("/" + name);
  return cell;
}

MultiPooler MakePooler(const std::string& cell, const std::string& name) {
  MultiPooler pooler;
  pooler.mutable_id()->set_component(ID::MULTIPOOLER);
  pooler.mutable_id()->set_cell(cell);
  pooler.mutable_id()->set_name(name);
  pooler.mutable_shard_key()->set_database("postgres");
  pooler.mutable_shard_key()->set_table_group("default");
  pooler.mutable_shard_key()->set_shard("0-inf");
  return pooler;
}

ShardKey Shard() {
  return MakePooler("", "").shard_key();
}

#define EXPECT_KIND(result, kind) EXPECT_TRUE(!(result) && Is((result).error(), ErrorKind::kind))

TEST(Store, NeedsAnAddressAndARoot) {
  Reactor reactor;
  auto random = SeededRandom(1);
  MemoryTopo topo(reactor.clock());
  StoreOptions options;
  auto no_address = Store::Create(reactor, topo.NewBackend(), *random, Logger(), options);
  ASSERT_FALSE(no_address);
  EXPECT_TRUE(no_address.error().message().ends_with("topo-global-server-addresses must be configured"));
  options.global_addresses = {"x"};
  auto no_root = Store::Create(reactor, topo.NewBackend(), *random, Logger(), options);
  ASSERT_FALSE(no_root);
  EXPECT_TRUE(no_root.error().message().ends_with("topo-global-root must be non-empty"));
}

TEST(Store, ACellThatIsNotThereIsNoNodeAndGlobalIsReserved) {
  World::Run([](World& w) -> Awaitable<void> {
    auto unknown = co_await w.store->ForCell({}, "zone9");
    EXPECT_KIND(unknown, kNoNode);
    auto reserved = co_await CreateCell(*w.store, {}, MakeCell("global"));
    EXPECT_KIND(reserved, kBadInput);
    auto global = co_await w.store->ForCell({}, "global");
    EXPECT_TRUE(global);
  });
}

TEST(Store, ReconnectsACellWhoseRecordChangesAndEndsTheOldWatches) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    auto first = co_await w.store->ForCell({}, "zone1");
    auto same = co_await w.store->ForCell({}, "zone1");
    EXPECT_TRUE(first && same && first->get() == same->get());
    auto watch = co_await (*first)->OpenWatch({}, "poolers", WatchScope::kDirectory);
    EXPECT_TRUE(watch);
    (void)co_await UpdateCellFields(*w.store, {}, "zone1", [](Cell& cell) -> Result<Mutation> {
      cell.set_server_addresses(0, "elsewhere");
      return Mutation::kWrite;
    });
    auto other = co_await w.store->ForCell({}, "zone1");
    EXPECT_TRUE(other && other->get() != first->get());
    auto end = co_await (*watch)->Next();
    EXPECT_TRUE(end && end->error);
  });
}

TEST(Store, FallsBackToTheKnownCellWhileTheGlobalStoreIsAway) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    auto first = co_await w.store->ForCell({}, "zone1");
    w.topo.FailOn(Operation::kGet, "^cells/", NoConnection());
    auto cached = co_await w.store->ForCell({}, "zone1");
    EXPECT_TRUE(first && cached && cached->get() == first->get());
    EXPECT_EQ(w.store->status().at("global"), "no connection available");
    auto unknown = co_await w.store->ForCell({}, "zone2");
    EXPECT_FALSE(unknown);
    w.topo.ClearFailOn();
    (void)co_await w.store->ForCell({}, "zone1");
    EXPECT_EQ(w.store->status().at("global"), "");
  });
}

TEST(Cells, NamesAreSortedAndEmptyWithoutError) {
  World::Run([](World& w) -> Awaitable<void> {
    auto none = co_await CellNames(*w.store, {});
    EXPECT_TRUE(none && none->empty());
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone2"));
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    auto names = co_await CellNames(*w.store, {});
    EXPECT_EQ(*names, (std::vector<std::string>{"zone1", "zone2"}));
  });
}

TEST(Cells, ACellInUseIsDeletedOnlyByForce) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    Database database;
    database.set_name("postgres");
    database.add_cells("zone1");
    (void)co_await CreateDatabase(*w.store, {}, database);
    auto refused = co_await DeleteCell(*w.store, {}, "zone1", false);
    EXPECT_KIND(refused, kNodeNotEmpty);
    auto forced = co_await DeleteCell(*w.store, {}, "zone1", true);
    EXPECT_TRUE(forced);
    auto gone = co_await GetCell(*w.store, {}, "zone1");
    EXPECT_KIND(gone, kNoNode);
  });
}

TEST(Cells, UpdateFieldsRetriesOnARaceAndUpsertsWhatIsAbsent) {
  World::Run([](World& w) -> Awaitable<void> {
    auto created = co_await UpdateDatabaseFields(*w.store, {}, "db", [](Database& database) -> Result<Mutation> {
      EXPECT_EQ(database.name(), "db");
      database.add_cells("zone1");
      return Mutation::kWrite;
    });
    EXPECT_TRUE(created);
    w.topo.FailOn(Operation::kUpdate, "databases/db", TopoError(ErrorKind::kBadVersion, "k"), MemoryTopo::Times::kOnce);
    int calls = 0;
    auto updated = co_await UpdateDatabaseFields(*w.store, {}, "db", [&calls](Database& database) -> Result<Mutation> {
      ++calls;
      database.add_cells("zone2");
      return Mutation::kWrite;
    });
    EXPECT_TRUE(updated);
    EXPECT_EQ(calls, 2);
    auto before = co_await GetDatabase(*w.store, {}, "db");
    EXPECT_EQ(before->value.cells_size(), 2);
    auto unchanged = co_await UpdateDatabaseFields(
        *w.store, {}, "db", [](Database&) -> Result<Mutation> { return Mutation::kNoUpdateNeeded; });
    EXPECT_TRUE(unchanged);
    auto after = co_await GetDatabase(*w.store, {}, "db");
    EXPECT_EQ(after->version, before->version);
  });
}

TEST(Cells, ALockAloneMakesADatabaseNameAppear) {
  World::Run([](World& w) -> Awaitable<void> {
    auto lock = co_await ShardLock::Acquire(*w.store, {}, Shard(), "test");
    EXPECT_TRUE(lock);
    auto names = co_await DatabaseNames(*w.store, {});
    EXPECT_EQ(*names, std::vector<std::string>{"postgres"});
    (void)co_await (*lock)->Unlock();
  });
}

TEST(Components, AreListedByCellWithoutThoseOfACellThatSharesTheRoot) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone2"));
    auto version = co_await CreateComponent(*w.store, {}, MakePooler("zone1", "a"));
    EXPECT_TRUE(version);
    // As if zone2 kept its records under the same root.
    auto cell = co_await w.store->ForCell({}, "zone1");
    (void)co_await (*cell)->Create({}, "poolers/multipooler-zone2-b/Pooler",
                                   MakePooler("zone2", "b").SerializeAsString());
    auto poolers = co_await ListComponents<MultiPooler>(*w.store, {}, "zone1");
    EXPECT_TRUE(poolers && poolers->size() == 1);
    EXPECT_EQ((*poolers)[0].value.id().name(), "a");
    EXPECT_EQ((*poolers)[0].version, *version);
    auto none = co_await ListComponents<MultiGateway>(*w.store, {}, "zone1");
    EXPECT_TRUE(none && none->empty());
    auto all = co_await ListAllComponents<MultiPooler>(*w.store, {});
    EXPECT_TRUE(all && all->size() == 1);
  });
}

TEST(Components, OneUndecodableRecordFailsTheList) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    auto cell = co_await w.store->ForCell({}, "zone1");
    (void)co_await (*cell)->Create({}, "poolers/x/Pooler", "\xff\xff\xff");
    auto poolers = co_await ListComponents<MultiPooler>(*w.store, {}, "zone1");
    EXPECT_FALSE(poolers);
    EXPECT_EQ(poolers.error().message(), "undecodable record at poolers/x/Pooler");
    auto all = co_await ListAllComponents<MultiPooler>(*w.store, {});
    EXPECT_FALSE(all);
  });
}

TEST(Components, UpdateFieldsOfAnAbsentComponentIsNoNode) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    auto missing = co_await UpdateComponentFields<MultiPooler>(
        *w.store, {}, MakePooler("zone1", "a").id(), [](MultiPooler&) -> Result<Mutation> { return Mutation::kWrite; });
    EXPECT_KIND(missing, kNoNode);
    auto registered = co_await RegisterComponent(*w.store, {}, MakePooler("zone1", "a"));
    auto again = co_await RegisterComponent(*w.store, {}, MakePooler("zone1", "a"));
    EXPECT_TRUE(registered && again && *again > *registered);
    auto stale = co_await DeleteComponent<MultiPooler>(*w.store, {}, MakePooler("zone1", "a").id(), *registered);
    EXPECT_KIND(stale, kBadVersion);
  });
}

TEST(Components, PoolerFilterNeedsTheParentOfEachLevel) {
  World::Run([](World& w) -> Awaitable<void> {
    (void)co_await CreateCell(*w.store, {}, MakeCell("zone1"));
    (void)co_await CreateComponent(*w.store, {}, MakePooler("zone1", "a"));
    PoolerFilter orphan;
    orphan.shard = "0-inf";
    auto refused = co_await ListPoolers(*w.store, {}, "zone1", orphan);
    EXPECT_KIND(refused, kBadInput);
    PoolerFilter match;
    match.database = "postgres";
    match.table_group = "default";
    auto found = co_await ListPoolers(*w.store, {}, "zone1", match);
    EXPECT_EQ(found->size(), 1u);
    match.database = "other";
    found = co_await ListPoolers(*w.store, {}, "zone1", match);
    EXPECT_TRUE(found->empty());
  });
}

TEST(ShardLock, RelockingInOneContextIsAnErrorNotADeadlock) {
  World::Run([](World& w) -> Awaitable<void> {
    LockSet held;
    CallContext context;
    context.held = &held;
    auto first = co_await ShardLock::Acquire(*w.store, context, Shard(), "initialise shard");
    EXPECT_TRUE(first);
    auto second = co_await ShardLock::Acquire(*w.store, context, Shard(), "initialise shard");
    EXPECT_FALSE(second);
    EXPECT_EQ(second.error().message(), "databases/postgres/default/0-inf is already locked by this operation");
    auto elsewhere = co_await ShardLock::TryAcquire(*w.store, {}, Shard(), "other work");
    EXPECT_KIND(elsewhere, kNodeExists);
    (void)co_await (*first)->Unlock();
    auto again = co_await ShardLock::Acquire(*w.store, context, Shard(), "initialise shard");
    EXPECT_TRUE(again);
    (void)co_await (*again)->Unlock();
    auto twice = co_await (*again)->Unlock();
    EXPECT_KIND(twice, kNoNode);
  });
}

TEST(ShardLock, ReportsDurationsAndRefusesOtherShards) {
  World::Run([](World& w) -> Awaitable<void> {
    ShardKey other = Shard();
    other.set_table_group("mine");
    auto refused = co_await ShardLock::Acquire(*w.store, {}, other, "test");
    EXPECT_KIND(refused, kBadInput);
    EXPECT_TRUE(refused.error().message().ends_with("only default tablegroup is supported, got: mine"));
    auto lock = co_await ShardLock::Acquire(*w.store, {}, Shard(), "test");
    CallContext soon;
    soon.deadline = w.reactor.clock().After(10ms);
    auto late = co_await ShardLock::Acquire(*w.store, soon, Shard(), "test");
    EXPECT_KIND(late, kTimeout);
    (void)co_await (*lock)->Unlock();
    EXPECT_EQ(w.samples.size(), 3u);
    EXPECT_EQ(w.samples[0].operation, "lock");
    EXPECT_EQ(w.samples[0].result, "success");
    EXPECT_EQ(w.samples[1].result, "timeout");
    EXPECT_EQ(w.samples[2].operation, "unlock");
    EXPECT_EQ(w.samples[2].resource_type, "shard");
  });
}

ShardInitClaim Claim(const std::string& cell, const std::string& orch, const std::string& member) {
  ShardInitClaim claim;
  claim.mutable_claimer_id()->set_component(ID::MULTIORCH);
  claim.mutable_claimer_id()->set_cell(cell);
  claim.mutable_claimer_id()->set_name(orch);
  claim.add_cohort_members()->set_name(member);
  return claim;
}

TEST(ShardInitClaims, TheSameClaimerWinsAgainWithTheCohortOfTheFirstTime) {
  World::Run([](World& w) -> Awaitable<void> {
    ShardInitClaims claims(*w.store);
    auto first = co_await claims.Claim({}, Shard(), Claim("zone1", "orch", "a"));
    EXPECT_TRUE(first);
    auto again = co_await claims.Claim({}, Shard(), Claim("zone1", "orch", "b"));
    EXPECT_TRUE(again);
    EXPECT_EQ(again->cohort_members(0).name(), "a");
    auto other = co_await claims.Claim({}, Shard(), Claim("zone2", "orch", "c"));
    EXPECT_KIND(other, kNodeExists);
  });
}

TEST(ShardInitClaims, AClaimUnchangedFor30sIsTakenOverWithItsCohort) {
  World::Run([](World& w) -> Awaitable<void> {
    VirtualClock clock;
    ShardInitClaims first(*w.store, clock);
    ShardInitClaims second(*w.store, clock);
    (void)co_await first.Claim({}, Shard(), Claim("zone1", "orch", "a"));
    auto refused = co_await second.Claim({}, Shard(), Claim("zone2", "orch", "b"));
    EXPECT_KIND(refused, kNodeExists);
    clock.Advance(29s);
    refused = co_await second.Claim({}, Shard(), Claim("zone2", "orch", "b"));
    EXPECT_KIND(refused, kNodeExists);
    clock.Advance(1s);
    auto taken = co_await second.Claim({}, Shard(), Claim("zone2", "orch", "b"));
    EXPECT_TRUE(taken);
    EXPECT_EQ(taken->claimer_id().cell(), "zone2");
    EXPECT_EQ(taken->cohort_members(0).name(), "a");
    auto lost = co_await first.Claim({}, Shard(), Claim("zone1", "orch", "a"));
    EXPECT_KIND(lost, kNodeExists);
  });
}

TEST(BackupLease, ExpireFailsFastAndALostLeaseCancelsTheWork) {
  World::Run([](World& w) -> Awaitable<void> {
    auto lease = co_await BackupLease::Acquire(*w.store, {}, Shard(), BackupOperation::kBackup, "zone1_a");
    EXPECT_TRUE(lease);
    auto stored = co_await w.store->global().Get({}, "backups/postgres/default/0-inf/lock");
    EXPECT_TRUE(stored && stored->contents.find("\"Action\": \"backup by zone1_a\"") != std::string::npos);
    auto expire = co_await BackupLease::Acquire(*w.store, {}, Shard(), BackupOperation::kExpire, "zone2_b");
    EXPECT_KIND(expire, kNodeExists);
    Event cancelled;
    auto subscription = (*lease)->work().OnCancel([&cancelled](CancelReason) { cancelled.Set(); });
    (void)co_await w.store->global().RevokeLock({}, "backups/postgres/default/0-inf/lock");
    EXPECT_TRUE(co_await cancelled.WaitUntil(w.reactor.clock(), w.reactor.clock().After(5s)));
    auto released = co_await (*lease)->Release();
    EXPECT_KIND(released, kNoNode);
  });
}

TEST(Names, AreThoseOfKeysAndLogs) {
  EXPECT_EQ(ComponentId(MakePooler("zone1", "abc").id()), "multipooler-zone1-abc");
  EXPECT_EQ(ComponentId(ID()), "unknown--");
  EXPECT_EQ(ClusterId(MakePooler("zone1", "abc").id()), "zone1_abc");
  auto id = ParseClusterId("zone1_a_b");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->cell(), "zone1");
  EXPECT_EQ(id->name(), "a_b");
  EXPECT_FALSE(ParseClusterId("zone1_"));
  EXPECT_FALSE(ParseClusterId("_a"));
  EXPECT_FALSE(ParseClusterId("zone1"));
  MultiPooler pooler = MakePooler("zone1", "a");
  pooler.set_hostname("host");
  EXPECT_EQ(GrpcAddress(pooler), "host");
  (*pooler.mutable_port_map())["grpc"] = 15270;
  EXPECT_EQ(GrpcAddress(pooler), "host:15270");
  EXPECT_EQ(JoinPath({"/multigres/", "a//b/", "c"}), "/multigres/a/b/c");
}

}  // namespace
}  // namespace multigres::topo
