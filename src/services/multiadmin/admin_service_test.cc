#include "services/multiadmin/admin_service.h"

#include "multiadminservice.pb.h"
#include "services/multiadmin/admin_world_test.h"
#include "services/multiadmin/fake_pooler_test.h"

namespace multigres::admin {
namespace {

using namespace std::chrono_literals;

// A client on a connection of its own.
template <class Body>
void RunClient(Body body) {
  RunAdminWorld([&body](AdminWorld& world) -> Awaitable<void> {
    auto channel = rpc::Channel::Create(world.reactor, TcpAddress{"127.0.0.1", world.grpc_port});
    ::multiadmin::rpc::MultiAdminServiceClient client(*channel);
    co_await body(world, client);
    co_await channel->Close();
  });
}

using Client = ::multiadmin::rpc::MultiAdminServiceClient;

TEST(AdminService, ReadsTheTopologyByGrpc) {
  RunClient([](AdminWorld& world, Client& client) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddDatabase("postgres");
    co_await world.AddGateway("zone1", "g");
    co_await world.AddPooler("zone1", "p");
    co_await world.AddOrch("zone1", "o");
    auto cells = co_await client.GetCellNames({});
    EXPECT_TRUE(cells);
    if (cells) EXPECT_EQ(cells->ShortDebugString(), R"(names: "zone1")");
    auto databases = co_await client.GetDatabaseNames({});
    EXPECT_TRUE(databases);
    if (databases) EXPECT_EQ(databases->ShortDebugString(), R"(names: "postgres")");
    auto gateways = co_await client.GetGateways({});
    EXPECT_TRUE(gateways && gateways->gateways_size() == 1 && gateways->gateways(0).id().name() == "g");
    auto poolers = co_await client.GetPoolers({});
    EXPECT_TRUE(poolers && poolers->poolers_size() == 1 && poolers->poolers(0).id().name() == "p");
    auto orchs = co_await client.GetOrchs({});
    EXPECT_TRUE(orchs && orchs->orchs_size() == 1 && orchs->orchs(0).id().name() == "o");
    ::multiadmin::GetDatabaseRequest request;
    request.set_name("postgres");
    auto database = co_await client.GetDatabase(request);
    EXPECT_TRUE(database);
    if (database) EXPECT_EQ(database->database().bootstrap_durability_policy().required_count(), 2);
    request.set_name("nonsense");
    database = co_await client.GetDatabase(request);
    EXPECT_FALSE(database);
    if (!database) EXPECT_EQ(database.error().ToString(), "NOT_FOUND: database 'nonsense' not found");
  });
}

TEST(AdminService, RefusesNamesThatNoCellHas) {
  RunClient([](AdminWorld& /*world*/, Client& client) -> Awaitable<void> {
    for (const char* name : {"", "a/b", "global"}) {
      ::multiadmin::GetCellRequest request;
      request.set_name(name);
      auto cell = co_await client.GetCell(request);
      EXPECT_TRUE(!cell && cell.error().code() == Code::kInvalidArgument) << name;
      ::multiadmin::GetOrchsRequest orchs;
      orchs.add_cells(name);
      auto list = co_await client.GetOrchs(orchs);
      EXPECT_TRUE(!list && list.error().code() == Code::kInvalidArgument) << name;
    }
  });
}

TEST(AdminService, RefusesIncompletePoolerIds) {
  RunClient([](AdminWorld& world, Client& client) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    ::multiadmin::GetPoolerStatusRequest request;
    for (const auto& [component, cell, name] : {std::tuple{clustermetadata::ID::UNKNOWN, "", ""},
                                                {clustermetadata::ID::MULTIPOOLER, "zone1", ""},
                                                {clustermetadata::ID::MULTIPOOLER, "", "a"},
                                                {clustermetadata::ID::MULTIGATEWAY, "zone1", "a"},
                                                {clustermetadata::ID::MULTIPOOLER, "global", "a"}}) {
      request.mutable_pooler_id()->set_component(component);
      request.mutable_pooler_id()->set_cell(cell);
      request.mutable_pooler_id()->set_name(name);
      auto status = co_await client.GetPoolerStatus(request);
      EXPECT_TRUE(!status && status.error().code() == Code::kInvalidArgument) << cell << name;
    }
  });
}

TEST(AdminService, CancelsThePoolersCallWithItsOwn) {
  RunClient([](AdminWorld& world, Client& client) -> Awaitable<void> {
    FakePooler pooler(world.reactor);
    pooler.silent = true;
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 1, pooler.port());
    ::multiadmin::GetPoolerStatusRequest request;
    request.mutable_pooler_id()->set_cell("zone1");
    request.mutable_pooler_id()->set_name("a");
    rpc::CallOptions options;
    options.deadline = world.reactor.clock().After(100ms);
    auto status = co_await client.GetPoolerStatus(request, options);
    EXPECT_TRUE(!status && status.error().code() == Code::kDeadlineExceeded);
    co_await pooler.Stop(world.reactor);
  });
}

TEST(AdminService, UnreachablePoolerIsUnavailable) {
  RunClient([](AdminWorld& world, Client& client) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "closed", "postgres", "0-inf", 1, 1);
    co_await world.AddPooler("zone1", "portless", "postgres", "0-inf", 1, 0);
    for (const char* name : {"closed", "portless"}) {
      ::multiadmin::SetPostgresRestartsEnabledRequest request;
      request.mutable_pooler_id()->set_cell("zone1");
      request.mutable_pooler_id()->set_name(name);
      auto done = co_await client.SetPostgresRestartsEnabled(request);
      EXPECT_TRUE(!done && done.error().code() == Code::kUnavailable) << name;
      if (!done)
        EXPECT_TRUE(done.error().message().starts_with("pooler 'multipooler-zone1-")) << done.error().message();
    }
  });
}

::multiadmin::SwitchPrimaryRequest SwitchOf(const char* database) {
  ::multiadmin::SwitchPrimaryRequest request;
  request.mutable_shard_key()->set_database(database);
  request.mutable_shard_key()->set_table_group("default");
  request.mutable_shard_key()->set_shard("0-inf");
  request.set_reason("test");
  return request;
}

TEST(AdminService, SwitchesFromTheLeaderOfTheHighestRule) {
  RunClient([](AdminWorld& world, Client& client) -> Awaitable<void> {
    FakePooler stale(world.reactor);
    FakePooler leader(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "leader", "postgres", "0-inf", 1, leader.port());
    co_await world.AddPooler("zone1", "stale", "postgres", "0-inf", 1, stale.port());
    co_await world.SetRole("stale", clustermetadata::PRIMARY, 3);
    co_await world.SetRole("leader", clustermetadata::PRIMARY, 4);
    auto switched = co_await client.SwitchPrimary(SwitchOf("postgres"));
    EXPECT_TRUE(switched) << (switched ? "" : switched.error().ToString());
    if (switched) EXPECT_EQ(switched->old_leader_id().name(), "leader");
    EXPECT_EQ(leader.resignations, 1);
    EXPECT_EQ(stale.resignations, 0);
    leader.fails_with = "no follower is connected";
    switched = co_await client.SwitchPrimary(SwitchOf("postgres"));
    EXPECT_TRUE(!switched && switched.error().ToString() ==
                                 "FAILED_PRECONDITION: pooler 'multipooler-zone1-leader': no follower is connected");
    co_await leader.Stop(world.reactor);
    co_await stale.Stop(world.reactor);
  });
}

TEST(AdminService, DoesNotSwitchWithoutALeaderOrSomebodyToTakeOver) {
  RunClient([](AdminWorld& world, Client& client) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "other", "elsewhere");
    auto nobody = co_await client.SwitchPrimary(SwitchOf("postgres"));
    EXPECT_TRUE(!nobody && nobody.error().ToString() == "NOT_FOUND: shard 'postgres/default/0-inf' has no leader");
    co_await world.AddPooler("zone1", "alone");
    auto alone = co_await client.SwitchPrimary(SwitchOf("postgres"));
    EXPECT_TRUE(!alone && alone.error().code() == Code::kFailedPrecondition);
    auto shardless = co_await client.SwitchPrimary({});
    EXPECT_TRUE(!shardless && shardless.error().code() == Code::kInvalidArgument);
  });
}

// Orchestrators hold back for 4 s after they have first seen another's promise: a leader that resigned then would leave
// the shard without one for so long. How old it is can't be told from its own time, which is another machine's.
TEST(AdminService, WaitsOutAnotherAppointmentBeforeASwitch) {
  RunClient([](AdminWorld& world, Client& client) -> Awaitable<void> {
    FakePooler leader(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 1, leader.port());
    co_await world.AddPooler("zone1", "b");
    co_await world.SetRole("b", clustermetadata::REPLICA, 0);
    clustermetadata::TermRevocation promise;
    promise.set_revoked_below_term(std::int64_t{1} << 41);
    promise.mutable_accepted_coordinator_id()->set_name("orch");
    promise.mutable_coordinator_initiated_at()->set_seconds(1000);
    leader.promise = promise;
    TimePoint begun = world.reactor.clock().Now();
    auto switched = co_await client.SwitchPrimary(SwitchOf("postgres"));
    EXPECT_TRUE(switched) << (switched ? "" : switched.error().ToString());
    EXPECT_GE(world.reactor.clock().Now() - begun, 4s);
    leader.promise.reset();
    begun = world.reactor.clock().Now();
    switched = co_await client.SwitchPrimary(SwitchOf("postgres"));
    EXPECT_TRUE(switched) << (switched ? "" : switched.error().ToString());
    EXPECT_LT(world.reactor.clock().Now() - begun, 4s);
    EXPECT_EQ(leader.resignations, 2);
    co_await leader.Stop(world.reactor);
  });
}

TEST(AdminService, SaysWhatIsNotBuilt) {
  RunClient([](AdminWorld& /*world*/, Client& client) -> Awaitable<void> {
    auto done = co_await client.VerifyBackups({});
    EXPECT_FALSE(done);
    if (!done) EXPECT_EQ(done.error().ToString(), "UNIMPLEMENTED: method VerifyBackups is not implemented");
  });
}

}  // namespace
}  // namespace multigres::admin
