#include "services/multiadmin/proxy.h"

#include "services/multiadmin/admin_world_test.h"

namespace multigres::admin {
namespace {

using namespace std::chrono_literals;

TEST(ProxyPath, TakesItsPartsFromTheTarget) {
  auto path = ProxyPath::Parse("/proxy/pool/zone1/x/debug/a%2Fb?q=%20/#f");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->kind, "pool");
  EXPECT_EQ(path->cell, "zone1");
  EXPECT_EQ(path->name, "x");
  EXPECT_EQ(path->prefix, "/proxy/pool/zone1/x");
  EXPECT_EQ(path->rest, "/debug/a%2Fb?q=%20/");
  EXPECT_EQ(ProxyPath::Parse("/proxy/gate/zone1/x")->rest, "/");
  EXPECT_EQ(ProxyPath::Parse("/proxy/gate/zone1/x?a=/b")->rest, "/?a=/b");
  EXPECT_EQ(ProxyPath::Parse("http://host:1/proxy/gate/zone1/x/y")->rest, "/y");
  EXPECT_EQ(ProxyPath::Parse("/proxy/gate/z%22/%3Cx%3E/")->prefix, "/proxy/gate/z%22/%3Cx%3E");
  EXPECT_EQ(ProxyPath::Parse("/proxy/gate/z\"/<x>/")->prefix, "/proxy/gate/z%22/%3Cx%3E");
  EXPECT_EQ(ProxyPath::Parse("/proxy/admin/zone1/")->rest, "/");
  EXPECT_EQ(ProxyPath::Parse("/proxy/admin/zone1/live")->rest, "/live");
}

TEST(ProxyPath, NeedsThreeParts) {
  for (const char* target :
       {"/proxy", "/proxy/", "/proxy/pool", "/proxy/pool/", "/proxy/pool/zone1", "/proxy/pool/zone1/", "/proxy/pool//x",
        "/proxy//zone1/x", "/proxy/admin", "/proxy/admin/zone1", "/proxy/admin//x", "/proxy/pool/zone1?a=/b/c"}) {
    EXPECT_FALSE(ProxyPath::Parse(target)) << target;
  }
}

// A status page behind the proxy.
class Backend {
 public:
  explicit Backend(Reactor& reactor) : reactor_(reactor) {
    router_.HandleSync("*", "/", [this](const http::Request& request) {
      last = request;
      return answer;
    });
    server_ = http::Server::Create(reactor, router_, Logger());
    port = *server_->Listen(TcpAddress{"127.0.0.1", 0});
  }
  Awaitable<void> Stop() { co_await server_->Stop(reactor_.clock().After(100ms)); }

  http::Request last;
  http::Response answer = http::TextResponse(200, "plain");
  std::uint16_t port = 0;

 private:
  Reactor& reactor_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

TEST(Proxy, ForwardsToEveryKindOfService) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    Backend backend(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddGateway("zone1", "g", backend.port);
    co_await world.AddPooler("zone1", "p", "postgres", "0-inf", backend.port);
    co_await world.AddOrch("zone1", "o", backend.port);
    for (const char* place : {"gate/zone1/g", "pool/zone1/p", "orch/zone1/o"}) {
      const auto response = co_await world.Get(std::string("/proxy/") + place + "/config?format=json&a=%2F");
      EXPECT_EQ(response.status, 200) << response.body;
      EXPECT_EQ(response.body, "plain");
      EXPECT_EQ(backend.last.target, "/config?format=json&a=%2F");
      EXPECT_EQ(backend.last.headers.Get("X-Forwarded-Prefix"), std::string("/proxy/") + place);
    }
    co_await backend.Stop();
  });
}

TEST(Proxy, SaysForWhomItAsks) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    Backend backend(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddOrch("zone1", "o", backend.port);
    http::ClientRequest request;
    request.method = "PUT";
    request.target = "/proxy/orch/zone1/o/x";
    request.body = "data";
    request.headers.Set("Host", "admin.example:15000");
    request.headers.Set("Origin", "http://admin.example:15000");
    request.headers.Set("X-Forwarded-For", "192.0.2.1");
    request.headers.Set("X-Forwarded-Host", "forged");
    request.headers.Set("Accept-Encoding", "gzip");
    request.headers.Set("TE", "trailers");
    request.headers.Set("X-Own", "kept");
    EXPECT_EQ((co_await world.Send(request)).status, 200);
    const auto& seen = backend.last.headers;
    EXPECT_EQ(backend.last.method, "PUT");
    EXPECT_EQ(backend.last.body, "data");
    EXPECT_EQ(seen.Get("Host"), "127.0.0.1:" + std::to_string(backend.port));
    EXPECT_EQ(seen.Get("X-Forwarded-For"), "192.0.2.1, 127.0.0.1");
    EXPECT_EQ(seen.Get("X-Forwarded-Host"), "admin.example:15000");
    EXPECT_EQ(seen.Get("X-Forwarded-Proto"), "http");
    EXPECT_EQ(seen.Get("X-Own"), "kept");
    EXPECT_FALSE(seen.Has("Origin"));
    EXPECT_FALSE(seen.Has("Accept-Encoding"));
    EXPECT_FALSE(seen.Has("TE"));
    co_await backend.Stop();
  });
}

TEST(Proxy, RefusesChangesThatAnotherSitesPageSends) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    Backend backend(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddOrch("zone1", "o", backend.port);
    http::ClientRequest request;
    request.method = "POST";
    request.target = "/proxy/orch/zone1/o/x";
    request.headers.Set("Origin", "http://evil.example");
    EXPECT_EQ((co_await world.Send(request)).status, 403);
    EXPECT_EQ(backend.last.method, "");
    co_await backend.Stop();
  });
}

TEST(Proxy, RewritesPagesAndRedirects) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    Backend backend(world.reactor);
    co_await world.AddCell("zone1");
    co_await world.AddOrch("zone1", "o", backend.port);
    backend.answer = http::HtmlResponse(503, R"(<html><head></head><a href="/live">live</a>)");
    auto response = co_await world.Get("/proxy/orch/zone1/o/");
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, R"(<html><head><base href="/proxy/orch/zone1/o/"></head>)"
                             R"(<a href="/proxy/orch/zone1/o/live">live</a>)");
    EXPECT_EQ(response.headers.Get("Content-Length"), std::to_string(response.body.size()));
    backend.answer = http::JsonResponse(200, R"({"href":"<a href=\"/x\">"})");
    EXPECT_EQ((co_await world.Get("/proxy/orch/zone1/o/x")).body, backend.answer.body);
    const std::string own = "http://127.0.0.1:" + std::to_string(backend.port);
    for (const auto& [location, expected] :
         std::vector<std::pair<std::string, std::string>>{{"/a", "/proxy/orch/zone1/o/a"},
                                                          {own + "/b?c=1", "/proxy/orch/zone1/o/b?c=1"},
                                                          {own, "/proxy/orch/zone1/o"},
                                                          {own + "0/b", own + "0/b"},
                                                          {"http://other/", "http://other/"},
                                                          {"//other/", "//other/"},
                                                          {"relative", "relative"}}) {
      backend.answer = http::TextResponse(302, "");
      backend.answer.headers.Set("Location", location);
      EXPECT_EQ((co_await world.Get("/proxy/orch/zone1/o/")).headers.Get("Location"), expected);
    }
    co_await backend.Stop();
  });
}

TEST(Proxy, ReachesMultiadminItselfOnce) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    const auto page = co_await world.Get("/proxy/admin/zone1/services");
    EXPECT_EQ(page.status, 200);
    EXPECT_NE(page.body.find(R"(<base href="/proxy/admin/zone1/">)"), std::string::npos) << page.body;
    EXPECT_EQ((co_await world.Get("/proxy/admin/zone1/proxy/admin/zone1/services")).status, 400);
    EXPECT_EQ((co_await world.Get("/proxy/admin/zone1/%70roxy/admin/zone1/services")).status, 400);
    EXPECT_EQ((co_await world.Get("/proxy/admin/zone1/api/v1/cells")).body, "{}");
  });
}

TEST(Proxy, TellsWhatIsWrong) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddGateway("zone1", "portless", 0);
    co_await world.AddGateway("zone1", "gone", 1);
    for (const auto& [target, status] : std::vector<std::pair<std::string, int>>{{"/proxy/gate/zone1", 400},
                                                                                 {"/proxy/nonsense/zone1/x/", 404},
                                                                                 {"/proxy/gate/zone1/x/", 404},
                                                                                 {"/proxy/gate/zone9/x/", 404},
                                                                                 {"/proxy/gate/global/x/", 404},
                                                                                 {"/proxy/pool/zone1/gone/", 404},
                                                                                 {"/proxy/gate/zone1/portless/", 404},
                                                                                 {"/proxy/gate/zone1/gone/", 502}}) {
      EXPECT_EQ((co_await world.Get(target)).status, status) << target;
    }
    EXPECT_EQ((co_await world.Get("/proxy/gate/zone1/x/")).body, "multigateway 'x' in cell 'zone1' not found\n");
    world.topo.FailAll(topo::NoConnection());
    EXPECT_EQ((co_await world.Get("/proxy/gate/zone1/gone/")).status, 503);
  });
}

TEST(ServicesPage, LinksEveryServiceTwice) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddCell("zone2");
    co_await world.AddGateway("zone1", "g1", 15100);
    co_await world.AddGateway("zone1", "g2", 15101);
    co_await world.AddPooler("zone2", "<p>", "postgres", "0-inf", 15200);
    co_await world.AddOrch("zone2", "o", 0);
    const auto page = co_await world.Get("/services");
    EXPECT_EQ(page.status, 200);
    for (const char* part :
         {R"(<h2>Cell: zone1</h2>)", R"(href="proxy/gate/zone1/g1/")", R"(href="http://127.0.0.1:15100/")",
          R"(href="proxy/gate/zone1/g2/")", R"(href="proxy/pool/zone2/%3Cp%3E/")", R"(<td>&lt;p&gt;</td>)",
          R"(href="http://127.0.0.1:15200/")", R"(<td>o</td><td>no HTTP port</td>)", R"(href="proxy/admin/global/")",
          R"(href="http://admin.example:15000/")"}) {
      EXPECT_NE(page.body.find(part), std::string::npos) << part << "\n" << page.body;
    }
    EXPECT_EQ(page.body.find("Discovery Error"), std::string::npos);
  });
}

TEST(ServicesPage, ShowsDiscoveryErrorsBesideWhatIsKnown) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    co_await world.AddCell("zone1");
    co_await world.AddGateway("zone1", "g1", 15100);
    world.topo.FailOn(topo::Operation::kList, "poolers/", topo::NoConnection());
    auto page = co_await world.Get("/services");
    EXPECT_EQ(page.status, 200);
    EXPECT_NE(page.body.find("proxy/gate/zone1/g1/"), std::string::npos);
    EXPECT_NE(page.body.find("<strong>Discovery Error</strong>: multipoolers: no connection available"),
              std::string::npos)
        << page.body;
    world.topo.FailAll(topo::NoConnection());
    page = co_await world.Get("/services");
    EXPECT_EQ(page.status, 200);
    EXPECT_NE(page.body.find("<strong>Discovery Error</strong>: no connection available"), std::string::npos);
  });
}

TEST(Pages, TheWebUiIsNotThere) {
  RunAdminWorld([](AdminWorld& world) -> Awaitable<void> {
    EXPECT_EQ((co_await world.Get("/ui/")).status, 404);
    EXPECT_EQ((co_await world.Get("/ui/index.html")).status, 404);
  });
}

}  // namespace
}  // namespace multigres::admin
