#include "services/multiadmin/connect.h"

#include "multiadminservice.pb.h"
#include "services/multiadmin/admin_world_test.h"
#include "services/multiadmin/fake_pooler_test.h"

namespace multigres::admin {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string kService = "/multiadmin.MultiAdminService/";

TEST(Connect, AnswersUnaryJson) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    auto response = co_await world.Post(kService + "GetCellNames", "{}");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.Get("Content-Type"), "application/json");
    EXPECT_EQ(response.body, R"({"names":["zone1"]})");
    response = co_await world.Post(kService + "GetCell", R"({"name":"zone9"})");
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.body, R"({"code":"not_found","message":"cell 'zone9' not found"})");
    response = co_await world.Post(kService + "Backup", R"({"table_group":"default","forcePrimary":true})");
    EXPECT_EQ(response.status, 501);
    EXPECT_EQ(response.body, R"({"code":"unimplemented","message":"method Backup is not implemented"})");
  });
}

TEST(Connect, AnswersUnaryBinary) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    ::multiadmin::GetCellRequest request;
    request.set_name("zone1");
    auto response = co_await world.Post(kService + "GetCell", request.SerializeAsString(), "application/proto");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.Get("Content-Type"), "application/proto");
    ::multiadmin::GetCellResponse cell;
    EXPECT_TRUE(cell.ParseFromString(response.body));
    EXPECT_EQ(cell.cell().root(), "/multigres/zone1");
    response = co_await world.Post(kService + "GetCell", "\x0a\x7f", "application/proto");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.body, R"({"code":"invalid_argument","message":"undecodable message"})");
  });
}

TEST(Connect, RefusesWhatIsNoCall) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    auto response = co_await world.Post(kService + "Nonsense", "{}");
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.body,
              R"({"code":"unimplemented","message":"unknown method multiadmin.MultiAdminService/Nonsense"})");
    response = co_await world.Get(kService + "GetCellNames");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.headers.Get("Allow"), "POST");
    response = co_await world.Post(kService + "GetCellNames", "{}", "text/plain");
    EXPECT_EQ(response.status, 415);
    response = co_await world.Post(kService + "GetCellNames", "");
    EXPECT_EQ(response.status, 400);
    response = co_await world.Post(kService + "GetCellNames", R"({"x":1})");
    EXPECT_EQ(response.status, 400);
    EXPECT_TRUE(response.body.starts_with(R"({"code":"invalid_argument","message":"bad JSON: )")) << response.body;
  });
}

TEST(Connect, MindsItsHeaders) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    http::ClientRequest request;
    request.method = "POST";
    request.target = kService + "GetCellNames";
    request.body = "{}";
    request.headers.Set("Content-Type", "application/json");
    request.headers.Set("Connect-Protocol-Version", "1");
    request.headers.Set("Connect-Timeout-Ms", "10000");
    EXPECT_EQ((co_await world.Send(request)).status, 200);
    request.headers.Set("Connect-Timeout-Ms", "soon");
    EXPECT_EQ((co_await world.Send(request)).status, 400);
    request.headers.Remove("Connect-Timeout-Ms");
    request.headers.Set("Connect-Protocol-Version", "2");
    EXPECT_EQ((co_await world.Send(request)).status, 400);
    request.headers.Remove("Connect-Protocol-Version");
    request.headers.Set("Content-Encoding", "gzip");
    EXPECT_EQ((co_await world.Send(request)).status, 501);
  });
}

TEST(Connect, EndsACallAtItsTimeout) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    FakePooler pooler(world.reactor);
    pooler.silent = true;
    co_await world.AddCell("zone1");
    co_await world.AddPooler("zone1", "a", "postgres", "0-inf", 1, pooler.port());
    http::ClientRequest request;
    request.method = "POST";
    request.target = kService + "GetPoolerStatus";
    request.body = R"({"poolerId":{"cell":"zone1","name":"a"}})";
    request.headers.Set("Content-Type", "application/json");
    request.headers.Set("Connect-Timeout-Ms", "100");
    const auto response = co_await world.Send(request);
    EXPECT_EQ(response.status, 504);
    EXPECT_TRUE(response.body.starts_with(R"({"code":"deadline_exceeded",)")) << response.body;
    co_await pooler.Stop(world.reactor);
  });
}

std::string Framed(std::string flags, std::string payload) {
  return flags + "\0\0\0"s + static_cast<char>(payload.size()) + payload;
}

TEST(GrpcWeb, AnswersFrames) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    auto response = co_await world.Post(kService + "GetCellNames", Framed("\0"s, "{}"), "application/grpc-web+json");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.Get("Content-Type"), "application/grpc-web+json");
    EXPECT_EQ(response.body, Framed("\0"s, R"({"names":["zone1"]})") + Framed("\x80", "grpc-status: 0\r\n"));
    response = co_await world.Post(kService + "GetCellNames", Framed("\0"s, ""), "application/grpc-web+proto");
    EXPECT_EQ(response.body, Framed("\0"s, "\x0a\x05zone1") + Framed("\x80", "grpc-status: 0\r\n"));
    response = co_await world.Post(kService + "GetCell", Framed("\0"s, "\x0a\x01x"), "application/grpc-web");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, Framed("\x80", "grpc-status: 5\r\ngrpc-message: cell%20%27x%27%20not%20found\r\n"));
  });
}

TEST(GrpcWeb, RefusesBrokenFrames) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    for (const std::string& body : {""s, "\0\0\0\0"s, "\0\0\0\0\5{}"s, Framed("\0"s, "{}") + "x"}) {
      const auto response = co_await world.Post(kService + "GetCellNames", body, "application/grpc-web+json");
      EXPECT_EQ(response.status, 200);
      EXPECT_NE(response.body.find("grpc-status: 3\r\n"), std::string::npos) << response.body;
    }
    const auto packed = co_await world.Post(kService + "GetCellNames", Framed("\1", "{}"), "application/grpc-web+json");
    EXPECT_NE(packed.body.find("grpc-status: 12\r\n"), std::string::npos) << packed.body;
  });
}

}  // namespace
}  // namespace multigres::admin
