#include "services/multiorch/service.h"

#include <gtest/gtest.h>

#include "common/consensus/position.h"
#include "common/consensus/wall_time.h"
#include "common/rpc/server.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/components.h"
#include "common/topoclient/memorytopo/memory_topo.h"
#include "consensusdata.pb.h"
#include "consensusservice.rpc.h"
#include "multiorchservice.pb.h"
#include "multipoolermanagerservice.rpc.h"
#include "services/multiorch/health/memory_shard.h"
#include "services/multiorch/shutdown_records.h"

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLimit = 20s;

// A pooler of a MemoryShard behind real gRPC.
class PoolerServer final : public ::multipoolermanager::rpc::MultiPoolerManager,
                           public ::consensus::rpc::MultiPoolerConsensus {
 public:
  PoolerServer(MemoryShard& shard, Clock& clock, std::string member)
      : board_(clock), access_(shard, board_), client_(access_.Find(member)) {}

  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> Status(
      rpc::ServerContext& context, const ::multipoolermanagerdata::StatusRequest& /*request*/) override {
    co_return co_await client_->Status(context.deadline());
  }
  Awaitable<Result<>> ManagerHealthStream(
      rpc::ServerContext& context,
      rpc::ServerStream<::multipoolermanagerdata::ManagerHealthStreamClientMessage,
                        ::multipoolermanagerdata::ManagerHealthStreamResponse>& stream) override {
    ::multipoolermanagerdata::ManagerHealthStreamClientMessage start;
    auto read = co_await stream.Read(start);
    if (!read || !*read) co_return Fail(Code::kInvalidArgument, "no start");
    Clock& clock = context.reactor().clock();
    while (!context.cancel().IsCancelled()) {
      auto status = co_await client_->Status(Deadline());
      if (!status) co_return std::unexpected(std::move(status.error()));
      ::multipoolermanagerdata::ManagerHealthStreamResponse response;
      *response.mutable_snapshot()->mutable_status() = std::move(*status);
      *response.mutable_snapshot()->mutable_captured_at() = consensus::ToTimestamp(clock.WallNow());
      auto written = co_await stream.Write(response);
      if (!written) co_return written;
      co_await SleepFor(clock, 50ms);
    }
    co_return Result<>{};
  }
  Awaitable<Result<::consensusdata::RecruitResponse>> Recruit(rpc::ServerContext& context,
                                                              const ::consensusdata::RecruitRequest& request) override {
    co_return co_await client_->Recruit(request, context.deadline());
  }
  Awaitable<Result<::consensusdata::PromoteResponse>> Promote(rpc::ServerContext& context,
                                                              const ::consensusdata::PromoteRequest& request) override {
    co_return co_await client_->Promote(request, context.deadline());
  }
  Awaitable<Result<::consensusdata::SetPrimaryResponse>> SetPrimary(
      rpc::ServerContext& context, const ::consensusdata::SetPrimaryRequest& request) override {
    co_return co_await client_->SetPrimary(request, context.deadline());
  }
  Awaitable<Result<::multipoolermanagerdata::UpdateConsensusRuleResponse>> UpdateConsensusRule(
      rpc::ServerContext& context, const ::multipoolermanagerdata::UpdateConsensusRuleRequest& request) override {
    co_return co_await client_->UpdateConsensusRule(request, context.deadline());
  }

 private:
  HealthBoard board_;
  MemoryShard::Access access_;
  std::shared_ptr<PoolerClient> client_;
};

// Three poolers by gRPC on loopback, a topology in memory, and one multiorch, on one reactor.
class World {
 public:
  explicit World(Reactor& reactor)
      : reactor_(reactor),
        topo_(reactor.clock()),
        random_(SeededRandom(1)),
        shard(reactor.executor(), reactor.clock(), {"zone1_a", "zone2_b", "zone3_c"}),
        pump_(reactor.executor()) {
    config.engine.cycle_interval = 50ms;
    config.engine.graces = {.base = 200ms, .max_jitter = 100ms};
    config.cell = "zone1";
    config.service_id = "orch";
  }

  Awaitable<void> SetUp() {
    store = *topo::Store::Create(reactor_, topo_.NewBackend(), *random_, Logger(),
                                 {.global_addresses = {"memory"}, .global_root = "/global"});
    clustermetadata::Database database;
    database.set_name("postgres");
    *database.mutable_bootstrap_durability_policy() = consensus::AtLeast(2);
    EXPECT_TRUE(co_await topo::CreateDatabase(*store, {}, database));
    for (const std::string& member : shard.members()) co_await StartPooler(member);
    pump_.Spawn("pump", Pump());
    clustermetadata::MultiOrch record;
    record.mutable_id()->set_component(clustermetadata::ID::MULTIORCH);
    record.mutable_id()->set_cell("zone1");
    record.mutable_id()->set_name("orch");
    record.set_hostname("127.0.0.1");
    (*record.mutable_port_map())["grpc"] = 1;
    service = std::make_unique<Service>(config, *WatchTargets::Parse({"postgres"}), record.id(), reactor_, *store,
                                        *random_, Logger(), rpc::ChannelOptions());
    co_await service->Start(record);
  }

  Awaitable<void> TearDown() {
    for (auto it = rpc_servers_.rbegin(); it != rpc_servers_.rend(); ++it) {
      co_await (*it)->Stop(reactor_.clock().After(100ms));
    }
    co_await service->Stop();
    co_await pump_.CancelAndJoin();
    co_await store->Close();
  }

  Awaitable<bool> Until(std::function<bool()> condition) {
    const Deadline deadline = reactor_.clock().After(kLimit);
    while (!condition() && !deadline.Passed(reactor_.clock().Now())) co_await SleepFor(reactor_.clock(), 5ms);
    co_return condition();
  }
  Awaitable<std::unique_ptr<rpc::Channel>> ConnectToOrch() {
    auto server = rpc::Server::Create({&reactor_});
    server->Register(service->grpc());
    auto port = server->Listen(TcpAddress{"127.0.0.1", 0});
    EXPECT_TRUE(port);
    rpc_servers_.push_back(std::move(server));
    co_return rpc::Channel::Create(reactor_, TcpAddress{"127.0.0.1", *port});
  }
  bool Settled() const {
    const std::string primary = shard.Primary();
    return !primary.empty() && std::ranges::all_of(shard.members(), [&](const std::string& member) {
      return member == primary || shard.Follows(member, primary);
    });
  }

 private:
  Awaitable<void> StartPooler(std::string member) {
    servers_.push_back(std::make_unique<PoolerServer>(shard, reactor_.clock(), member));
    auto server = rpc::Server::Create({&reactor_});
    server->Register(static_cast<::multipoolermanager::rpc::MultiPoolerManager&>(*servers_.back()));
    server->Register(static_cast<::consensus::rpc::MultiPoolerConsensus&>(*servers_.back()));
    auto port = server->Listen(TcpAddress{"127.0.0.1", 0});
    EXPECT_TRUE(port);
    rpc_servers_.push_back(std::move(server));
    clustermetadata::MultiPooler pooler;
    *pooler.mutable_id() = *consensus::ParseMember(member);
    pooler.mutable_shard_key()->set_database("postgres");
    pooler.mutable_shard_key()->set_table_group("default");
    pooler.mutable_shard_key()->set_shard("0-inf");
    pooler.set_hostname("127.0.0.1");
    (*pooler.mutable_port_map())["grpc"] = *port;
    (*pooler.mutable_port_map())["postgres"] = 5432;
    clustermetadata::Cell cell;
    cell.set_name(pooler.id().cell());
    cell.add_server_addresses("memory");
    cell.set_root("/" + cell.name());
    EXPECT_TRUE(co_await topo::CreateCell(*store, {}, cell));
    EXPECT_TRUE(co_await topo::CreateComponent<clustermetadata::MultiPooler>(*store, {}, pooler));
  }
  Awaitable<void> Pump() {
    while (true) {
      shard.Pump();
      co_await SleepFor(reactor_.clock(), 5ms);
    }
  }

  Reactor& reactor_;
  topo::MemoryTopo topo_;
  std::unique_ptr<Random> random_;

 public:
  MemoryShard shard;
  Config config;
  std::unique_ptr<topo::Store> store;
  std::unique_ptr<Service> service;

 private:
  std::vector<std::unique_ptr<PoolerServer>> servers_;
  std::vector<std::unique_ptr<rpc::Server>> rpc_servers_;
  TaskGroup pump_;
};

template <class Body>
void RunWorld(Body body) {
  Reactor reactor;
  World world(reactor);
  RunOnReactor(reactor, [](World& world, Body& body) -> Awaitable<void> {
    co_await world.SetUp();
    co_await body(world);
    co_await world.TearDown();
  }(world, body));
}

TEST(Service, BringsAShardUpAndKeepsItWithALeader) {
  RunWorld([](World& world) -> Awaitable<void> {
    EXPECT_TRUE(co_await world.Until([&world] { return world.Settled(); }));
    EXPECT_TRUE(co_await world.service->CheckReady());
    EXPECT_EQ(world.service->InitializationStatus(), "");
    const std::string first = world.shard.Primary();
    EXPECT_EQ(consensus::RulePositionText(world.shard.Rules(first)), "1.0");
    world.shard.KillPostgres(first);
    EXPECT_TRUE(co_await world.Until([&world] { return world.shard.Primary().empty(); }));
    EXPECT_TRUE(co_await world.Until([&world] { return world.Settled(); }));
    EXPECT_EQ(consensus::RulePositionText(world.shard.Rules(world.shard.Primary())), "2.0");
  });
}

TEST(Service, AnswersWhatOperatorsAsk) {
  RunWorld([](World& world) -> Awaitable<void> {
    EXPECT_TRUE(co_await world.Until([&world] { return world.Settled(); }));
    auto channel = co_await world.ConnectToOrch();
    ::multiorch::rpc::MultiOrchServiceClient client(*channel);
    ::multiorch::ShardStatusRequest request;
    request.mutable_shard_key()->set_database("postgres");
    auto unknown = co_await client.GetShardStatus(request);
    EXPECT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code(), Code::kNotFound);
    request.mutable_shard_key()->set_table_group("default");
    request.mutable_shard_key()->set_shard("0-inf");
    auto status = co_await client.GetShardStatus(request);
    EXPECT_TRUE(status);
    EXPECT_EQ(status->pooler_healths_size(), 3);
    EXPECT_TRUE(status->pooler_healths(0).postgres_ready());

    auto disabled = co_await client.DisableRecovery({});
    EXPECT_TRUE(disabled && disabled->success());
    auto trigger = co_await client.TriggerRecoveryNow({});
    EXPECT_FALSE(trigger);
    world.shard.KillPostgres(world.shard.Primary());
    Result<::multiorch::ShardStatusResponse> broken = status;
    EXPECT_TRUE(co_await world.Until([&world] { return !world.service->engine().Problems().empty(); }));
    broken = co_await client.GetShardStatus(request);
    EXPECT_TRUE(broken && broken->problems_size() > 0);
    if (broken && broken->problems_size() > 0) {
      EXPECT_EQ(broken->problems(0).priority(), 1000);
      EXPECT_EQ(broken->problems(0).scope(), "shard");
    }
    EXPECT_EQ(world.shard.Primary(), "");
    auto enabled = co_await client.EnableRecovery({});
    EXPECT_TRUE(enabled && enabled->success());
    auto remaining = co_await client.TriggerRecoveryNow({});
    EXPECT_TRUE(remaining);
    EXPECT_TRUE(co_await world.Until([&world] { return world.Settled(); }));
    auto refused = co_await client.ApplyCertifiedRuleChange({});
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
    co_await channel->Close();
  });
}

TEST(Service, TellsHowItsFailoversWent) {
  RunWorld([](World& world) -> Awaitable<void> {
    EXPECT_TRUE(co_await world.Until([&world] { return world.Settled(); }));
    const std::string first = world.shard.Primary();
    auto channel = co_await world.ConnectToOrch();
    ::multiorch::rpc::MultiOrchServiceClient client(*channel);
    auto none = co_await client.GetFailoverTimelines({});
    EXPECT_TRUE(none && none->timelines_size() == 0) << "the first appointment is no failover";
    world.shard.KillPostgres(first);
    EXPECT_TRUE(co_await world.Until([&world] {
      const auto timelines = world.service->engine().failovers().Timelines();
      return timelines.size() == 1 && timelines[0].Settled() && timelines[0].old_leader_back;
    }));
    ::multiorch::GetFailoverTimelinesRequest request;
    request.set_limit(5);
    request.mutable_shard_key()->set_database("postgres");
    request.mutable_shard_key()->set_table_group("default");
    request.mutable_shard_key()->set_shard("0-inf");
    auto told = co_await client.GetFailoverTimelines(request);
    EXPECT_TRUE(told && told->timelines_size() == 1);
    if (told && told->timelines_size() == 1) {
      const auto& timeline = told->timelines(0);
      EXPECT_EQ(timeline.reason(), "LeaderUnhealthy");
      EXPECT_EQ(timeline.old_leader(), first);
      EXPECT_EQ(timeline.new_leader(), world.shard.Primary());
      EXPECT_EQ(timeline.new_rule().coordinator_term(), 2);
      EXPECT_EQ(timeline.coordinator(), "zone1_orch");
      EXPECT_TRUE(timeline.has_recruited() && timeline.has_promoted() && timeline.has_rule_written());
      EXPECT_TRUE(timeline.has_first_write() && timeline.has_followers_attached() && timeline.has_old_leader_back());
    }
    request.mutable_shard_key()->set_shard("another");
    auto others = co_await client.GetFailoverTimelines(request);
    EXPECT_TRUE(others && others->timelines_size() == 0);
    const auto tables = world.service->StatusTables();
    EXPECT_EQ(tables[3].title, "Failovers");
    EXPECT_EQ(tables[3].rows.size(), 1u);
    co_await channel->Close();
  });
}

// Another orchestrator that says what it looks after.
class OtherOrch final : public ::multiorch::rpc::MultiOrchService {
 public:
  OtherOrch(Reactor& reactor, const clustermetadata::ShardKey& shard, bool enabled)
      : server_(rpc::Server::Create({&reactor})) {
    status_.set_enabled(enabled);
    *status_.add_shards() = shard;
    server_->Register(*this);
    auto port = server_->Listen(TcpAddress{"127.0.0.1", 0});
    EXPECT_TRUE(port);
    port_ = port ? *port : 0;
  }
  Awaitable<Result<::multiorch::GetRecoveryStatusResponse>> GetRecoveryStatus(
      rpc::ServerContext& /*context*/, const ::multiorch::GetRecoveryStatusRequest& /*request*/) override {
    co_return status_;
  }
  int port() const { return port_; }
  Awaitable<void> Stop(Deadline deadline) { co_await server_->Stop(deadline); }

 private:
  ::multiorch::GetRecoveryStatusResponse status_;
  std::unique_ptr<rpc::Server> server_;
  int port_ = 0;
};

clustermetadata::ID OrchId(const char* cell, const char* name) {
  clustermetadata::ID id;
  id.set_component(clustermetadata::ID::MULTIORCH);
  id.set_cell(cell);
  id.set_name(name);
  return id;
}

// `port` 0: none is registered.
Awaitable<void> RegisterOrch(topo::Store& store, const char* cell, const char* name, int port) {
  clustermetadata::MultiOrch record;
  *record.mutable_id() = OrchId(cell, name);
  record.set_hostname("127.0.0.1");
  if (port != 0) (*record.mutable_port_map())["grpc"] = port;
  EXPECT_TRUE(co_await topo::CreateComponent<clustermetadata::MultiOrch>(store, {}, record));
}

TEST(Service, KnowsItsPlaceAmongTheOrchestratorsThatLookAfterTheShard) {
  RunWorld([](World& world) -> Awaitable<void> {
    Reactor& reactor = world.store->reactor();
    clustermetadata::ShardKey ours;
    ours.set_database("postgres");
    ours.set_table_group("default");
    ours.set_shard("0-inf");
    clustermetadata::ShardKey another = ours;
    another.set_database("another");
    Roster last(*world.store, OrchId("zone2", "z"), {});
    EXPECT_EQ(last.Rank(ours), 1) << "nothing is known yet: somebody may come first";
    EXPECT_TRUE(co_await last.Read(Deadline()));
    co_await last.LookAround();
    EXPECT_EQ(last.Rank(ours), 0) << "nobody answers for the world's own";

    OtherOrch attends(reactor, ours, true);
    OtherOrch elsewhere(reactor, another, true);
    OtherOrch disabled(reactor, ours, false);
    auto mute = Listener::Open(reactor, TcpAddress{"127.0.0.1", 0});
    EXPECT_TRUE(mute);
    co_await RegisterOrch(*world.store, "zone1", "attends", attends.port());
    co_await RegisterOrch(*world.store, "zone1", "elsewhere", elsewhere.port());
    co_await RegisterOrch(*world.store, "zone1", "disabled", disabled.port());
    co_await RegisterOrch(*world.store, "zone1", "mute", (*mute)->port());
    co_await RegisterOrch(*world.store, "zone1", "unknown", 0);
    co_await RegisterOrch(*world.store, "zone1", "gone", 1);
    co_await RegisterOrch(*world.store, "zone3", "later", 0);
    EXPECT_TRUE(co_await last.Read(Deadline()));
    co_await last.LookAround();
    EXPECT_EQ(last.Rank(ours), 3) << "attends, mute, unknown";
    EXPECT_EQ(last.Rank(another), 3) << "elsewhere, mute, unknown";
    EXPECT_FALSE(co_await last.Read(Deadline(TimePoint::min()))) << "out of time";
    EXPECT_EQ(last.Rank(ours), 3);

    Roster first(*world.store, OrchId("zone1", "attends"), {});
    EXPECT_TRUE(co_await first.Read(Deadline()));
    co_await first.LookAround();
    EXPECT_EQ(first.Rank(ours), 0);
    for (OtherOrch* orch : {&attends, &elsewhere, &disabled}) co_await orch->Stop(reactor.clock().After(100ms));
  });
}

TEST(Service, AppliesACertifiedRuleChange) {
  RunWorld([](World& world) -> Awaitable<void> {
    EXPECT_TRUE(co_await world.Until([&world] { return world.Settled(); }));
    // Two of three are lost for good: the last one can't be recruited for, unless somebody vouches.
    const std::string survivor = world.shard.Primary() == "zone1_a" ? "zone2_b" : "zone1_a";
    const std::string other = "zone3_c";
    auto channel = co_await world.ConnectToOrch();
    ::multiorch::rpc::MultiOrchServiceClient client(*channel);
    ::multiorch::ApplyCertifiedRuleChangeRequest request;
    request.mutable_shard_key()->set_database("postgres");
    request.mutable_shard_key()->set_table_group("default");
    request.mutable_shard_key()->set_shard("0-inf");
    auto& revocation = *request.mutable_cert()->mutable_term_revocation();
    revocation.set_revoked_below_term(2);
    revocation.mutable_accepted_coordinator_id()->set_cell("zone1");
    revocation.mutable_accepted_coordinator_id()->set_name("operator");
    *revocation.mutable_coordinator_initiated_at() = consensus::ToTimestamp(WallTime(std::chrono::seconds(1)));
    revocation.mutable_outgoing_rule()->set_coordinator_term(1);
    request.mutable_cert()->set_frozen_lsn("0/1");
    auto& rule = *request.mutable_proposed_transition()->mutable_proposal();
    rule.mutable_rule_number()->set_coordinator_term(2);
    *rule.mutable_leader_id() = *consensus::ParseMember(survivor);
    *rule.mutable_durability_policy() = consensus::AtLeast(2);
    for (const std::string& member : {survivor, other}) *rule.add_cohort_members() = *consensus::ParseMember(member);
    request.set_reason("lost quorum");
    auto applied = co_await client.ApplyCertifiedRuleChange(request);
    EXPECT_TRUE(applied) << applied.error().ToString();
    EXPECT_TRUE(co_await world.Until([&world, &survivor] { return world.shard.Primary() == survivor; }));
    EXPECT_EQ(world.shard.Rules(survivor).decision().rule_number().coordinator_term(), 2);
    co_await channel->Close();
  });
}

TEST(Service, DeletesRecordsOfPoolersShutDownLongAgo) {
  RunWorld([](World& world) -> Awaitable<void> {
    const WallTime now = world.store->clock().WallNow();
    for (const auto& [name, age] : {std::pair("old", 25h), std::pair("new", 1h)}) {
      clustermetadata::MultiPooler pooler;
      pooler.mutable_id()->set_component(clustermetadata::ID::MULTIPOOLER);
      pooler.mutable_id()->set_cell("zone1");
      pooler.mutable_id()->set_name(name);
      pooler.mutable_shard_key()->set_database("postgres");
      pooler.mutable_lifecycle_status()->set_status(clustermetadata::LIFECYCLE_SHUTDOWN);
      *pooler.mutable_lifecycle_status()->mutable_updated() = consensus::ToTimestamp(now - age);
      EXPECT_TRUE(co_await topo::CreateComponent<clustermetadata::MultiPooler>(*world.store, {}, pooler));
    }
    const WatchTargets targets = *WatchTargets::Parse({"postgres"});
    auto deleted = co_await DeleteOldShutdownRecords(*world.store, targets, Deadline());
    EXPECT_TRUE(deleted);
    EXPECT_EQ(deleted.value_or(0), 1);
    auto left = co_await topo::ListComponents<clustermetadata::MultiPooler>(*world.store, {}, "zone1");
    EXPECT_TRUE(left);
    EXPECT_EQ(left->size(), 2u) << "the live one, and the one of today";
  });
}

TEST(Service, RegistersAndLeaves) {
  RunWorld([](World& world) -> Awaitable<void> {
    auto orchs = co_await topo::ListComponents<clustermetadata::MultiOrch>(*world.store, {}, "zone1");
    EXPECT_TRUE(orchs);
    if (orchs) EXPECT_EQ(orchs->size(), 1u);
    co_await world.service->Stop();
    orchs = co_await topo::ListComponents<clustermetadata::MultiOrch>(*world.store, {}, "zone1");
    EXPECT_TRUE(orchs);
    if (orchs) EXPECT_EQ(orchs->size(), 0u);
  });
}

TEST(Service, ShowsItsShardsOnTheStatusPage) {
  RunWorld([](World& world) -> Awaitable<void> {
    EXPECT_TRUE(co_await world.Until([&world] { return world.Settled(); }));
    const std::string leader = world.shard.Primary();
    EXPECT_TRUE(co_await world.Until([&world, &leader] {
      const auto tables = world.service->StatusTables();
      return !tables[0].rows.empty() && tables[0].rows[0][1].text == leader && tables[0].rows[0][2].text == "1.0";
    }));
    const auto tables = world.service->StatusTables();
    EXPECT_EQ(tables[0].rows[0][0].text, "postgres/default/0-inf");
    EXPECT_EQ(tables[1].rows.size(), 3u);
    EXPECT_EQ(tables[1].rows[0][2].text, "connected");
  });
}

}  // namespace
}  // namespace multigres::orch
