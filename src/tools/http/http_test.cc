#include <gtest/gtest.h>

#include "tools/async/event.h"
#include "tools/async/task_group.h"
#include "tools/http/client.h"
#include "tools/http/codec.h"
#include "tools/http/server.h"
#include "tools/result/check.h"

namespace multigres::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Response Echo(const Request& request) {
  std::string text = request.method + " " + request.path;
  for (const auto& [name, value] : request.params) text += " " + name + "=" + value;
  for (const auto& [name, value] : request.query) text += " ?" + name + "=" + value;
  return TextResponse(200, text + " [" + request.body + "]");
}

Router MakeRouter() {
  Router router;
  router.HandleSync("GET", "/config", Echo);
  router.HandleSync("GET", "/cells/{name}", Echo);
  router.HandleSync("GET", "/cells/special", [](const Request&) { return TextResponse(200, "special"); });
  router.HandleSync("POST", "/poolers/{cell}/{name}/restart", Echo);
  router.HandleSync("*", "/proxy/", [](const Request&) { return TextResponse(200, "proxy"); });
  return router;
}

TEST(Router, PrefersTheMostSpecificPattern) {
  const Router router = MakeRouter();
  EXPECT_NE(router.Find("GET", "/config").handler, nullptr);
  EXPECT_NE(router.Find("HEAD", "/config").handler, nullptr);
  EXPECT_EQ(router.Find("GET", "/config/x").handler, nullptr);
  EXPECT_TRUE(router.Find("GET", "/cells/special").params.empty());
  const auto match = router.Find("GET", "/cells/zone1");
  EXPECT_EQ(match.params, (std::vector<std::pair<std::string, std::string>>{{"name", "zone1"}}));
  EXPECT_EQ(router.Find("GET", "/cells/").handler, nullptr);
  EXPECT_NE(router.Find("DELETE", "/proxy/a/b").handler, nullptr);
  EXPECT_NE(router.Find("GET", "/proxy").handler, nullptr);
}

TEST(Router, WrongMethodNamesTheRightOnes) {
  Router router = MakeRouter();
  router.HandleSync("*", "/", Echo);
  EXPECT_EQ(router.Find("POST", "/config").handler, nullptr);
  EXPECT_EQ(router.Find("POST", "/config").allow, "GET, HEAD");
  EXPECT_EQ(router.Find("GET", "/poolers/a/b/restart").allow, "POST");
  EXPECT_NE(router.Find("GET", "/anything/else").handler, nullptr);
}

TEST(Message, DecodesAndEscapes) {
  std::string out;
  EXPECT_TRUE(DecodePercent("a%20b%2Fc+d", false, out));
  EXPECT_EQ(out, "a b/c+d");
  out.clear();
  EXPECT_TRUE(DecodePercent("a+b", true, out));
  EXPECT_EQ(out, "a b");
  EXPECT_FALSE(DecodePercent("%2", false, out));
  EXPECT_FALSE(DecodePercent("%zz", false, out));
  EXPECT_EQ(EncodePercent("a b/ü"), "a%20b%2F%C3%BC");
  EXPECT_EQ(EscapeHtml("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
}

TEST(RequestReader, TakesPipelinedRequestsByteByByte) {
  const std::string wire =
      "GET /a?x=1&y=%20 HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
      "POST /c HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi";
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, wire.size()}) {
    RequestReader reader(1024, 1024);
    std::vector<Request> requests;
    std::vector<bool> keep_alive;
    for (std::size_t i = 0; i < wire.size(); i += step) {
      reader.Append(std::string_view(wire).substr(i, step));
      while (reader.Parse() == RequestReader::State::kDone) {
        requests.push_back(reader.Take());
        keep_alive.push_back(reader.keep_alive());
      }
    }
    ASSERT_EQ(requests.size(), 3u) << step;
    EXPECT_EQ(requests[0].path, "/a");
    EXPECT_EQ(requests[0].Query("x"), "1");
    EXPECT_EQ(requests[0].Query("y"), " ");
    EXPECT_EQ(requests[1].body, "abcde");
    EXPECT_EQ(requests[2].body, "hi");
    EXPECT_EQ(keep_alive, (std::vector<bool>{true, true, false}));
    EXPECT_FALSE(reader.HasBytes());
  }
}

TEST(RequestReader, RefusesGarbageAndOversize) {
  const auto status = [](std::string_view wire) {
    RequestReader reader(256, 8);
    reader.Append(wire);
    return reader.Parse() == RequestReader::State::kBad ? reader.bad_status() : 0;
  };
  EXPECT_EQ(status("\x16\x03\x01\x02\x00\x01\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nX: " + std::string(300, 'x') + "\r\n\r\n"), 431);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n123456789"), 413);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
}

// A server on a free port of the loopback, and a body that talks to it.
class ServerTest : public testing::Test {
 protected:
  using Body = std::function<Awaitable<void>(Reactor&, Address)>;

  static Awaitable<void> Around(ServerTest& test, Body body) {
    auto server = Server::Create(test.reactor_, test.router_, Logger(), test.options_);
    auto port = server->Listen(TcpAddress{"127.0.0.1", 0});
    CHECK(port);
    co_await body(test.reactor_, TcpAddress{"127.0.0.1", *port});
    co_await server->Stop(test.reactor_.clock().After(seconds(5)));
  }
  void Run(Body body) { RunOnReactor(reactor_, Around(*this, std::move(body))); }

  Reactor reactor_;
  Router router_ = MakeRouter();
  ServerOptions options_;
};

Awaitable<Response> Get(Reactor& reactor, Address address, std::string target, std::string method = "GET",
                        Headers headers = {}, std::string body = {}) {
  ClientRequest request{.method = method, .target = target, .headers = headers, .body = body};
  auto response = co_await Fetch(reactor, address, std::move(request), reactor.clock().After(seconds(10)));
  EXPECT_TRUE(response) << response.error().ToString();
  co_return response ? std::move(*response) : Response{.status = 0};
}

TEST_F(ServerTest, AnswersRoutesHeadWrongMethodsAndUnknownPaths) {
  Run([](Reactor& reactor, Address address) -> Awaitable<void> {
    const Response cell = co_await Get(reactor, address, "/cells/zone%201?a=b");
    EXPECT_EQ(cell.status, 200);
    EXPECT_EQ(cell.body, "GET /cells/zone 1 name=zone 1 ?a=b []");
    EXPECT_EQ(cell.headers.Get("access-control-allow-origin"), "*");
    const Response head = co_await Get(reactor, address, "/config", "HEAD");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.headers.Get("Content-Length"), "15");
    const Response wrong = co_await Get(reactor, address, "/config", "DELETE");
    EXPECT_EQ(wrong.status, 405);
    EXPECT_EQ(wrong.headers.Get("Allow"), "GET, HEAD");
    const Response unknown = co_await Get(reactor, address, "/nowhere");
    EXPECT_EQ(unknown.status, 404);
    const Response bad = co_await Get(reactor, address, "/%zz");
    EXPECT_EQ(bad.status, 400);
    const Response post = co_await Get(reactor, address, "/poolers/c/n/restart", "POST", {}, std::string(70'000, 'x'));
    EXPECT_EQ(post.status, 200);
    EXPECT_GT(post.body.size(), 70'000u);
  });
}

Awaitable<int> PostFrom(Reactor& reactor, Address address, std::string origin) {
  Headers headers;
  if (!origin.empty()) headers.Add("Origin", origin);
  const Response response = co_await Get(reactor, address, "/poolers/c/n/restart", "POST", headers);
  co_return response.status;
}

TEST_F(ServerTest, ForeignOriginMayReadButNotChange) {
  Run([](Reactor& reactor, Address address) -> Awaitable<void> {
    const int none = co_await PostFrom(reactor, address, "");
    EXPECT_EQ(none, 200);
    const int own = co_await PostFrom(reactor, address, "http://" + ToString(address));
    EXPECT_EQ(own, 200);
    const int foreign = co_await PostFrom(reactor, address, "http://evil.example.com");
    EXPECT_EQ(foreign, 403);
    const int null = co_await PostFrom(reactor, address, "null");
    EXPECT_EQ(null, 403);
    Headers headers;
    headers.Add("Origin", "http://evil.example.com");
    const Response read = co_await Get(reactor, address, "/config", "GET", headers);
    EXPECT_EQ(read.status, 200);
    const Response options = co_await Get(reactor, address, "/poolers/c/n/restart", "OPTIONS", headers);
    EXPECT_EQ(options.status, 204);
    EXPECT_EQ(options.headers.Get("Access-Control-Allow-Headers"), "Content-Type, Authorization");
  });
}

Awaitable<std::string> ReadToEnd(ByteStream& stream) {
  std::string all;
  std::array<std::byte, 4096> buffer;
  while (true) {
    auto outcome = stream.TryRead(buffer);
    if (!outcome || outcome->status == IoStatus::kEof) co_return all;
    all.append(reinterpret_cast<const char*>(buffer.data()), outcome->bytes);
    if (outcome->status != IoStatus::kWouldBlock) continue;
    auto readable = co_await stream.WaitReadable();
    if (!readable) co_return all;
  }
}

Awaitable<std::string> Raw(Reactor& reactor, Address address, std::string bytes) {
  auto stream = co_await Connect(reactor, address, reactor.clock().After(seconds(10)));
  CHECK(stream);
  auto sent = co_await WriteAll(**stream, std::as_bytes(std::span(bytes)));
  EXPECT_TRUE(sent);
  co_return co_await ReadToEnd(**stream);
}

TEST_F(ServerTest, KeepsTheConnectionForPipelinedRequestsUntilClose) {
  Run([](Reactor& reactor, Address address) -> Awaitable<void> {
    const std::string answer = co_await Raw(reactor, address,
                                            "GET /config HTTP/1.1\r\nHost: h\r\n\r\n"
                                            "GET /cells/special HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_NE(answer.find("Connection: keep-alive"), std::string::npos) << answer;
    EXPECT_TRUE(answer.ends_with("special")) << answer;
  });
}

TEST_F(ServerTest, SlowHeaderAndSilentClientAreDropped) {
  options_.header_timeout = milliseconds(30);
  options_.idle_timeout = milliseconds(60);
  Run([](Reactor& reactor, Address address) -> Awaitable<void> {
    const std::string slow = co_await Raw(reactor, address, "GET /config HT");
    EXPECT_EQ(slow, "");
    const std::string silent = co_await Raw(reactor, address, "");
    EXPECT_EQ(silent, "");
  });
}

TEST_F(ServerTest, GarbageGets400AndTheNextClientIsServed) {
  Run([](Reactor& reactor, Address address) -> Awaitable<void> {
    const std::string answer = co_await Raw(reactor, address, std::string("\0\x01\x02garbage\r\n\r\n", 14));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 Bad Request\r\n")) << answer;
    const Response next = co_await Get(reactor, address, "/config");
    EXPECT_EQ(next.status, 200);
  });
}

TEST_F(ServerTest, SendsContinueToAClientThatWaitsForIt) {
  Run([](Reactor& reactor, Address address) -> Awaitable<void> {
    auto stream = co_await Connect(reactor, address, reactor.clock().After(seconds(10)));
    CHECK(stream);
    const std::string header =
        "POST /poolers/c/n/restart HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: "
        "close\r\n\r\n";
    static_cast<void>(co_await WriteAll(**stream, std::as_bytes(std::span(header))));
    std::string interim(25, '\0');
    auto read = co_await ReadExactly(**stream, std::as_writable_bytes(std::span(interim)));
    EXPECT_TRUE(read);
    EXPECT_EQ(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    const std::string body = "ok";
    static_cast<void>(co_await WriteAll(**stream, std::as_bytes(std::span(body))));
    const std::string answer = co_await ReadToEnd(**stream);
    EXPECT_TRUE(answer.ends_with("[ok]")) << answer;
  });
}

TEST_F(ServerTest, MoreConnectionsThanTheLimitWaitTheirTurn) {
  options_.max_connections = 1;
  Run([](Reactor& reactor, Address address) -> Awaitable<void> {
    auto first = co_await Connect(reactor, address, reactor.clock().After(seconds(10)));
    CHECK(first);
    TaskGroup tasks(reactor.executor());
    int status = 0;
    const auto second = [](Reactor& reactor, Address address, int& status) -> Awaitable<void> {
      const Response response = co_await Get(reactor, address, "/config");
      status = response.status;
    };
    tasks.Spawn("second", second(reactor, address, status));
    const std::string request = "GET /config HTTP/1.1\r\nConnection: close\r\n\r\n";
    static_cast<void>(co_await WriteAll(**first, std::as_bytes(std::span(request))));
    const std::string answer = co_await ReadToEnd(**first);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
    co_await tasks.Join();
    EXPECT_EQ(status, 200);
  });
}

TEST_F(ServerTest, StopEndsIdleConnectionsAtOnceAndLetsRunningRequestsFinish) {
  Event entered;
  Event leave;
  router_.Handle("GET", "/slow", [&entered, &leave](const Request&) -> Awaitable<Response> {
    entered.Set();
    co_await leave.Wait();
    co_return TextResponse(200, "done");
  });
  static constexpr auto kBody = [](ServerTest& test, Reactor& reactor, Router& router, Event& entered,
                                   Event& leave) -> Awaitable<void> {
    auto server = Server::Create(reactor, router, Logger(), {});
    auto port = server->Listen(TcpAddress{"127.0.0.1", 0});
    CHECK(port);
    const Address address = TcpAddress{"127.0.0.1", *port};
    auto idle = co_await Connect(reactor, address, reactor.clock().After(seconds(10)));
    CHECK(idle);
    TaskGroup tasks(reactor.executor());
    std::string body;
    const auto get = [](Reactor& reactor, Address address, std::string& body) -> Awaitable<void> {
      const Response response = co_await Get(reactor, address, "/slow");
      body = response.body;
    };
    tasks.Spawn("get", get(reactor, address, body));
    co_await entered.Wait();
    const auto release = [](Reactor& reactor, ByteStream& idle, Event& leave) -> Awaitable<void> {
      const std::string rest = co_await ReadToEnd(idle);
      EXPECT_EQ(rest, "");
      leave.Set();
    };
    tasks.Spawn("release", release(reactor, **idle, leave));
    co_await server->Stop(reactor.clock().After(seconds(10)));
    co_await tasks.Join();
    EXPECT_EQ(body, "done");
    auto refused = co_await Connect(reactor, address, reactor.clock().After(seconds(10)));
    EXPECT_FALSE(refused);
  };
  RunOnReactor(reactor_, kBody(*this, reactor_, router_, entered, leave));
}

TEST_F(ServerTest, StopCancelsWhatOutlivesItsDeadline) {
  Event never;
  Event entered;
  router_.Handle("GET", "/stuck", [&](const Request&) -> Awaitable<Response> {
    entered.Set();
    co_await never.Wait();
    co_return TextResponse(200, "never");
  });
  static constexpr auto kBody = [](Reactor& reactor, Router& router, Event& entered) -> Awaitable<void> {
    auto server = Server::Create(reactor, router, Logger(), {});
    auto port = server->Listen(TcpAddress{"127.0.0.1", 0});
    CHECK(port);
    auto stream = co_await Connect(reactor, TcpAddress{"127.0.0.1", *port}, reactor.clock().After(seconds(10)));
    CHECK(stream);
    const std::string request = "GET /stuck HTTP/1.1\r\n\r\n";
    static_cast<void>(co_await WriteAll(**stream, std::as_bytes(std::span(request))));
    co_await entered.Wait();
    co_await server->Stop(reactor.clock().After(milliseconds(20)));
    const std::string answer = co_await ReadToEnd(**stream);
    EXPECT_EQ(answer, "");
  };
  RunOnReactor(reactor_, kBody(reactor_, router_, entered));
}

Awaitable<void> AnswerRaw(Reactor& reactor, Listener& listener, std::string bytes) {
  auto stream = co_await listener.Accept();
  CHECK(stream);
  static_cast<void>(co_await WriteAll(**stream, std::as_bytes(std::span(bytes))));
  (*stream)->ShutdownWrite();
  static_cast<void>(co_await ReadToEnd(**stream));
}

Awaitable<void> FetchRaw(Reactor& reactor, std::string bytes, Result<Response>& out) {
  auto listener = Listener::Open(reactor, TcpAddress{"127.0.0.1", 0});
  CHECK(listener);
  TaskGroup tasks(reactor.executor());
  tasks.Spawn("answer", AnswerRaw(reactor, **listener, std::move(bytes)));
  out = co_await Fetch(reactor, TcpAddress{"127.0.0.1", (*listener)->port()}, {.max_response_bytes = 10},
                       reactor.clock().After(seconds(10)));
  co_await tasks.Join();
}

Result<Response> FetchFrom(std::string bytes) {
  Reactor reactor;
  Result<Response> out = Fail(Code::kUnknown, "not run");
  RunOnReactor(reactor, FetchRaw(reactor, std::move(bytes), out));
  return out;
}

TEST(Client, ReadsEveryFormOfBodyAndRefusesTheRest) {
  EXPECT_EQ(FetchFrom("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")->body, "hi");
  EXPECT_EQ(FetchFrom("HTTP/1.1 503 No\r\n\r\nto the end")->status, 503);
  EXPECT_EQ(FetchFrom("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")->body, "ab");
  EXPECT_EQ(FetchFrom("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi").error().code(), Code::kUnavailable);
  EXPECT_EQ(FetchFrom("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n").error().code(), Code::kResourceExhausted);
  EXPECT_EQ(FetchFrom("SSH-2.0-OpenSSH_9.2\r\n").error().code(), Code::kInternal);
  EXPECT_EQ(FetchFrom("").error().code(), Code::kUnavailable);
}

Awaitable<void> FetchSilence(Reactor& reactor, Result<Response>& out) {
  auto listener = Listener::Open(reactor, TcpAddress{"127.0.0.1", 0});
  CHECK(listener);
  out = co_await Fetch(reactor, TcpAddress{"127.0.0.1", (*listener)->port()}, {},
                       reactor.clock().After(milliseconds(30)));
}

TEST(Client, GivesUpAtItsDeadline) {
  Reactor reactor;
  Result<Response> out = Fail(Code::kUnknown, "not run");
  RunOnReactor(reactor, FetchSilence(reactor, out));
  EXPECT_EQ(out.error().code(), Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace multigres::http
