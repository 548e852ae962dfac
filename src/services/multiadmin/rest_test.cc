#include "services/multiadmin/rest.h"

#include "services/multiadmin/admin_world_test.h"
#include "services/multiadmin/fake_pooler_test.h"

namespace multigres::admin {
namespace {

using namespace std::chrono_literals;

struct Expected {
  std::string target;
  int status;
  std::string body;
};

Awaitable<void> ExpectAnswers(AdminWorld& world, std::vector<Expected> cases) {
  for (const Expected& expected : cases) {
    const auto response = co_await world.Get(expected.target);
    EXPECT_EQ(response.status, expected.status) << expected.target;
    EXPECT_EQ(response.headers.Get("Content-Type"), "application/json") << expected.target;
    EXPECT_EQ(response.body, expected.body) << expected.target;
  }
}

constexpr std::string_view kUnimplementedTail = R"(is not implemented","details":[]})";

TEST(Rest, ShowsTheTopology) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone2");
    co_await world.AddCell("zone1");
    co_await world.AddDatabase("postgres");
    co_await world.AddGateway("zone1", "gw", 15100, 15170);
    co_await world.AddOrch("zone2", "or", 15301, 15371);
    co_await ExpectAnswers(
        world,
        {{"/api/v1/cells", 200, R"({"names":["zone1","zone2"]})"},
         {"/api/v1/cells/zone1", 200,
          R"({"cell":{"name":"zone1","serverAddresses":["memory"],"root":"/multigres/zone1"}})"},
         {"/api/v1/databases", 200, R"({"names":["postgres"]})"},
         {"/api/v1/databases/postgres", 200,
          R"({"database":{"name":"postgres","backupLocation":{"filesystem":{"path":"/backups"}},"cells":["zone1","zone2"],)"
          R"("bootstrapDurabilityPolicy":{"policyName":"AT_LEAST_2","policyVersion":"1",)"
          R"("quorumType":"QUORUM_TYPE_AT_LEAST_N","requiredCount":2}}})"},
         {"/api/v1/gateways", 200,
          R"({"gateways":[{"id":{"component":"MULTIGATEWAY","cell":"zone1","name":"gw"},"hostname":"127.0.0.1",)"
          R"("portMap":{"grpc":15170,"http":15100},"pidPrefix":7}]})"},
         {"/api/v1/orchs?cells=zone2", 200,
          R"({"orchs":[{"id":{"component":"MULTIORCH","cell":"zone2","name":"or"},"hostname":"127.0.0.1",)"
          R"("portMap":{"grpc":15371,"http":15301}}]})"},
         {"/api/v1/orchs?cells=zone1", 200, "{}"},
         {"/api/v1/poolers", 200, "{}"}});
  });
}

TEST(Rest, SaysWhatIsNotThere) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await ExpectAnswers(
        world, {{"/api/v1/cells/zone9", 404, R"({"code":5,"message":"cell 'zone9' not found","details":[]})"},
                {"/api/v1/databases/no%20%22db%22", 404,
                 R"({"code":5,"message":"database 'no \"db\"' not found","details":[]})"},
                {"/api/v1/gateways?cells=zone1&cells=zone9", 404,
                 R"({"code":5,"message":"cell 'zone9' not found","details":[]})"},
                {"/api/v1/poolers/zone1/x/status", 404,
                 R"({"code":5,"message":"pooler 'multipooler-zone1-x' not found","details":[]})"},
                {"/api/v1/nonsense", 404, R"({"code":5,"message":"no such route: /api/v1/nonsense","details":[]})"},
                {"/api/v1/cells/a/b", 404, R"({"code":5,"message":"no such route: /api/v1/cells/a/b","details":[]})"},
                {"/api/", 404, R"({"code":5,"message":"no such route: /api/","details":[]})"}});
  });
}

// Names only, in the order of the answer.
Awaitable<std::string> PoolerNames(AdminWorld& world, std::string query) {
  const auto response = co_await world.Get("/api/v1/poolers" + query);
  EXPECT_EQ(response.status, 200) << response.body;
  std::string names;
  std::string_view rest = response.body;
  constexpr std::string_view kMark = R"("name":")";
  for (auto at = rest.find(kMark); at != std::string_view::npos; at = rest.find(kMark)) {
    rest.remove_prefix(at + kMark.size());
    names.append(names.empty() ? "" : " ").append(rest.substr(0, rest.find('"')));
  }
  co_return names;
}

TEST(Rest, FiltersPoolersByCellsDatabaseAndShard) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddCell("zone2");
    co_await world.AddPooler("zone1", "a");
    co_await world.AddPooler("zone1", "b", "shop");
    co_await world.AddPooler("zone2", "c");
    co_await world.AddPooler("zone2", "d", "shop", "80-inf");
    EXPECT_EQ(co_await PoolerNames(world, ""), "a b c d");
    EXPECT_EQ(co_await PoolerNames(world, "?cells=zone2"), "c d");
    EXPECT_EQ(co_await PoolerNames(world, "?cells=zone2&cells=zone1&cells=zone2"), "c d a b");
    EXPECT_EQ(co_await PoolerNames(world, "?database=shop"), "b d");
    EXPECT_EQ(co_await PoolerNames(world, "?shard=0-inf"), "a b c");
    EXPECT_EQ(co_await PoolerNames(world, "?database=shop&shard=0-inf"), "b");
    EXPECT_EQ(co_await PoolerNames(world, "?database=&shard="), "a b c d");
    EXPECT_EQ(co_await PoolerNames(world, "?database=nonsense"), "");
  });
}

TEST(Rest, WritesPoolersInFull) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 15200, 15270);
    co_await ExpectAnswers(
        world,
        {{"/api/v1/poolers", 200,
          R"({"poolers":[{"id":{"component":"MULTIPOOLER","cell":"zone1","name":"a"},)"
          R"("shardKey":{"database":"postgres","tableGroup":"default","shard":"0-inf"},"servingStatus":"DISABLED",)"
          R"("hostname":"127.0.0.1","portMap":{"grpc":15270,"http":15200},)"
          R"("routingState":{"role":"PRIMARY","rule":{"coordinatorTerm":"1099511627776"}}}]})"}});
  });
}

TEST(Rest, RefusesBadQueryFields) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    const std::string unknown = R"({"code":3,"message":"unknown query field ')";
    const std::string tail = R"(","details":[]})";
    co_await ExpectAnswers(world, {{"/api/v1/poolers?nonsense=1", 400, unknown + "nonsense'" + tail},
                                   {"/api/v1/cells?name=x", 400, unknown + "name'" + tail},
                                   {"/api/v1/cells/zone1?name=zone2", 400, unknown + "name'" + tail},
                                   {"/api/v1/poolers/zone1/a/status?poolerId=x", 400, unknown + "poolerId'" + tail},
                                   {"/api/v1/poolers?database=a&database=b", 400,
                                    R"({"code":3,"message":"query field 'database' is given more than once)" + tail},
                                   {"/api/v1/gateways/zone1/g/queries?limit=-1", 400,
                                    R"({"code":3,"message":"query field 'limit': bad value '-1')" + tail},
                                   {"/api/v1/gateways/zone1/g/queries?limit=1&min_calls=2x", 400,
                                    R"({"code":3,"message":"query field 'min_calls': bad value '2x')" + tail},
                                   {"/api/v1/poolers?cells=global", 400,
                                    R"({"code":3,"message":"topo error [11]: cell name 'global' is reserved)" + tail}});
  });
}

TEST(Rest, TakesQueryFieldsInBothCases) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    for (const char* query : {"?min_calls=5&limit=2", "?minCalls=5"}) {
      const auto response = co_await world.Get(std::string("/api/v1/gateways/zone1/g/queries") + query);
      EXPECT_EQ(response.status, 501) << response.body;
    }
  });
}

TEST(Rest, AnswersWhatIsNotBuiltWithUnimplemented) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    for (const char* target :
         {"/api/v1/gateways/zone1/g/queries", "/api/v1/gateways/zone1/g/consolidator",
          "/api/v1/backups?database=postgres&table_group=default", "/api/v1/jobs/j?tableGroup=x"}) {
      const auto response = co_await world.Get(target);
      EXPECT_EQ(response.status, 501) << target;
      EXPECT_TRUE(response.body.starts_with(R"({"code":12,"message":"method )")) << response.body;
      EXPECT_TRUE(response.body.ends_with(kUnimplementedTail)) << response.body;
    }
    for (const char* target : {"/api/v1/backups", "/api/v1/backups/expire", "/api/v1/backups/verify",
                               "/api/v1/shards/postgres/default/0-inf/rule-change"}) {
      const auto response = co_await world.Post(target, "{}");
      EXPECT_EQ(response.status, 501) << target << response.body;
    }
  });
}

TEST(Rest, SwitchesTheLeaderOfTheShardInThePath) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    FakePooler leader(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 1, leader.port());
    const char* target = "/api/v1/shards/postgres/default/0-inf/switch-primary";
    const auto alone = co_await world.Post(target, R"({"reason":"test"})");
    EXPECT_EQ(alone.status, 400) << alone.body;
    co_await world.AddPooler("zone1", "b");
    co_await world.SetRole("b", clustermetadata::REPLICA, 0);
    const auto switched = co_await world.Post(target, R"({"reason":"test"})");
    EXPECT_EQ(switched.status, 200) << switched.body;
    EXPECT_EQ(switched.body, R"({"oldLeaderId":{"component":"MULTIPOOLER","cell":"zone1","name":"a"}})");
    co_await leader.Stop(world.reactor);
  });
}

TEST(Rest, AsksAPoolerForItsStatus) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    FakePooler pooler(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 1, pooler.port());
    co_await ExpectAnswers(
        world, {{"/api/v1/poolers/zone1/a/status", 200,
                 R"({"status":{"poolerType":"PRIMARY","postgresRunning":true,"postgresActionDuration":"3s"},)"
                 R"("consensusStatus":{"currentPosition":{"lsn":"0/3000060"}}})"}});
    pooler.fails_with = "not now";
    co_await ExpectAnswers(world, {{"/api/v1/poolers/zone1/a/status", 400,
                                    R"({"code":9,"message":"pooler 'multipooler-zone1-a': not now","details":[]})"}});
    co_await pooler.Stop(world.reactor);
    const auto gone = co_await world.Get("/api/v1/poolers/zone1/a/status");
    EXPECT_EQ(gone.status, 503) << gone.body;
    EXPECT_TRUE(gone.body.starts_with(R"({"code":14,"message":"pooler 'multipooler-zone1-a': )")) << gone.body;
  });
}

TEST(Rest, SetsPostgresRestartsOnThePoolerOfThePath) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    FakePooler pooler(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 1, pooler.port());
    const std::string target = "/api/v1/poolers/zone1/a/postgres-restarts";
    auto response = co_await world.Post(target, R"({"enabled":true})");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "{}");
    // The path's fields win over the body's.
    response = co_await world.Post(target, R"({"poolerId":{"cell":"zone9"},"enabled":false})");
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(pooler.restarts, (std::vector<bool>{true, false}));
    for (const char* body : {"", "[]", "true", "{\"enabled\":\"x\"}", "{\"nonsense\":1}", "{"}) {
      response = co_await world.Post(target, body);
      EXPECT_EQ(response.status, 400) << body;
      EXPECT_TRUE(response.body.starts_with(R"({"code":3,"message":")")) << response.body;
    }
    response = co_await world.Post(target + "?enabled=true", "{}");
    EXPECT_EQ(response.status, 400) << response.body;
    EXPECT_EQ(pooler.restarts.size(), 2u);
    co_await pooler.Stop(world.reactor);
  });
}

TEST(Rest, RefusesBodiesThatAreNotJson) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    const std::string target = "/api/v1/poolers/zone1/a/postgres-restarts";
    for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"}) {
      const auto response = co_await world.Post(target, R"({"enabled":true})", type);
      EXPECT_EQ(response.status, 415) << type;
      EXPECT_EQ(response.body, R"({"code":3,"message":"the body must be application/json","details":[]})");
    }
    const auto fine = co_await world.Post(target, R"({"enabled":true})", "Application/JSON; charset=utf-8");
    EXPECT_EQ(fine.status, 404) << fine.body;  // no such pooler
  });
}

TEST(Rest, NamesTheMethodsOfAPath) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    const auto post = co_await world.Post("/api/v1/cells", "{}");
    EXPECT_EQ(post.status, 405);
    EXPECT_EQ(post.headers.Get("Allow"), "GET, HEAD");
    EXPECT_EQ(post.body, R"({"code":12,"message":"method not allowed","details":[]})");
    http::ClientRequest request;
    request.method = "DELETE";
    request.target = "/api/v1/backups";
    const auto removed = co_await world.Send(request);
    EXPECT_EQ(removed.status, 405);
    EXPECT_EQ(removed.headers.Get("Allow"), "GET, HEAD, POST");
    const auto get = co_await world.Get("/api/v1/poolers/zone1/a/postgres-restarts");
    EXPECT_EQ(get.status, 405);
    EXPECT_EQ(get.headers.Get("Allow"), "POST");
  });
}

TEST(Rest, RefusesChangesThatAnotherSitesPageSends) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    http::ClientRequest request;
    request.method = "POST";
    request.target = "/api/v1/poolers/zone1/a/postgres-restarts";
    request.body = R"({"enabled":true})";
    request.headers.Set("Content-Type", "application/json");
    request.headers.Set("Origin", "http://evil.example");
    EXPECT_EQ((co_await world.Send(request)).status, 403);
    request.headers.Set("Origin", "http://127.0.0.1:" + std::to_string(world.http_port));
    EXPECT_EQ((co_await world.Send(request)).status, 404);  // let through: no such cell
  });
}

TEST(Rest, AListIsCompleteOrAnError) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddCell("zone2");
    co_await world.AddPooler("zone1", "a");
    world.topo.FailOn(topo::Operation::kList, "poolers/", topo::NoConnection(), topo::MemoryTopo::Times::kOnce);
    co_await ExpectAnswers(
        world, {{"/api/v1/poolers", 503, R"({"code":14,"message":"no connection available","details":[]})"}});
    world.topo.FailOn(topo::Operation::kList, "poolers/", topo::NoConnection());
    co_await ExpectAnswers(world, {{"/api/v1/poolers?cells=zone1", 503,
                                    R"({"code":14,"message":"cell 'zone1': no connection available","details":[]})"}});
  });
}

TEST(Rest, TellsWhenTheTopologyIsAway) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    world.topo.FailAll(topo::NoConnection());
    co_await ExpectAnswers(world,
                           {{"/api/v1/cells", 503, R"({"code":14,"message":"no connection available","details":[]})"},
                            {"/api/v1/cells/zone1", 503,
                             R"({"code":14,"message":"cell 'zone1': no connection available","details":[]})"}});
    world.topo.ClearFailAll();
    co_await ExpectAnswers(world, {{"/api/v1/cells", 200, "{}"}});
  });
}

TEST(Rest, StopsWhileAPoolerKeepsSilent) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    auto pooler = std::make_unique<FakePooler>(world.reactor);
    pooler->silent = true;
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 1, pooler->port());
    Event ended;
    static constexpr auto kAsk = [](AdminWorld& world, Event& ended) -> Awaitable<void> {
      const auto response =
          co_await http::Fetch(world.reactor, TcpAddress{"127.0.0.1", world.http_port},
                               {.target = "/api/v1/poolers/zone1/a/status"}, world.reactor.clock().After(20s));
      EXPECT_FALSE(response);  // cut off
      ended.Set();
    };
    world.tasks.Spawn("ask", kAsk(world, ended));
    EXPECT_TRUE(co_await pooler->asked.WaitUntil(world.reactor.clock(), world.reactor.clock().After(10s)));
    co_await world.http_server->Stop(world.reactor.clock().After(10ms));
    EXPECT_TRUE(co_await ended.WaitUntil(world.reactor.clock(), world.reactor.clock().After(10s)));
    co_await world.service->Stop();
    co_await pooler->Stop(world.reactor);
  });
}

}  // namespace
}  // namespace multigres::admin
