// What our sides make of peers that aren't ours: other implementations' habits, and nonsense.
#include "common/rpc/raw_peer.h"
#include "common/rpc/rpc_fixture.h"

namespace multigres::rpc {
namespace {

using namespace std::chrono_literals;

class RpcWire : public RpcFixture {
 public:
  Awaitable<std::unique_ptr<ByteStream>> ConnectRaw() {
    auto stream = co_await Connect(*reactor_, address_, clock().After(5s));
    EXPECT_TRUE(stream);
    co_return std::move(*stream);
  }
  // The response to one request on a connection of its own.
  Awaitable<RawPeer::Stream> Ask(RawPeer::Headers headers, std::string body) {
    RawPeer peer(co_await ConnectRaw(), false);
    const auto id = peer.Request(headers, std::move(body));
    EXPECT_TRUE(co_await peer.RunUntil([&] { return peer.streams()[id].closed; }));
    co_return std::move(peer.streams()[id]);
  }
  Awaitable<RawPeer::Stream> AskEcho(std::string body) {
    return Ask(RawPeer::GrpcHeaders("/test.Peer/Echo"), std::move(body));
  }
};
INSTANTIATE_TEST_SUITE_P(All, RpcWire, testing::Values(kSetups[0], kSetups[3]), SetupName);

template <class Body>
auto As(Body body) {
  return [body](RpcFixture& fixture) { return body(static_cast<RpcWire&>(fixture)); };
}

// StringValue("hi")
const std::string kHi("\x0a\x02hi", 4);

TEST_P(RpcWire, ForeignClientIsServed) {
  Run(As([](RpcWire& t) -> Awaitable<void> {
    auto response = co_await t.AskEcho(Framed(kHi));
    EXPECT_EQ(response.headers[":status"], "200");
    EXPECT_EQ(response.headers["content-type"], "application/grpc");
    EXPECT_EQ(response.headers["grpc-status"], "0");
    EXPECT_EQ(response.data, Framed(kHi));
    EXPECT_EQ(response.error, 0u);
  }));
}

TEST_P(RpcWire, GarbageEndsOnlyItsConnection) {
  Run(As([](RpcWire& t) -> Awaitable<void> {
    auto call = t.channel_->StartCall(kHang, {});
    call->WriteLast(StringValue());
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.hanging == 1; }));
    std::vector<std::string> garbage = {"GET / HTTP/1.1\r\n\r\n", std::string(10'000, '\xff'),
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(100, '\xee')};
    for (const std::string& bytes : garbage) {
      auto stream = co_await t.ConnectRaw();
      EXPECT_TRUE(co_await WriteAll(*stream, std::as_bytes(std::span(bytes))));
      std::byte buffer[4096];
      while (true) {
        if (!co_await stream->WaitReadable()) break;
        auto outcome = stream->TryRead(buffer);
        if (!outcome || outcome->status == IoStatus::kEof) break;
      }
    }
    EXPECT_TRUE(co_await t.Echo("still there"));
    EXPECT_EQ(t.service_.cancelled, 0);
  }));
}

TEST_P(RpcWire, SlowClientIsServed) {
  Run(As([](RpcWire& t) -> Awaitable<void> {
    RawPeer peer(co_await t.ConnectRaw(), false);
    const auto id = peer.Request(RawPeer::GrpcHeaders("/test.Peer/Echo"), Framed(kHi));
    std::string all;
    while (true) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(peer.session(), &bytes);
      if (size <= 0) break;
      all.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
    for (const char byte : all) {
      EXPECT_TRUE(co_await WriteAll(peer.stream(), std::as_bytes(std::span(&byte, 1))));
      co_await SleepFor(t.clock(), 50us);
    }
    EXPECT_TRUE(co_await peer.RunUntil([&] { return peer.streams()[id].closed; }));
    EXPECT_EQ(peer.streams()[id].headers["grpc-status"], "0");
  }));
}

TEST_P(RpcWire, NotGrpcIsRefusedByHttpStatus) {
  Run(As([](RpcWire& t) -> Awaitable<void> {
    auto headers = RawPeer::GrpcHeaders("/test.Peer/Echo");
    headers[4].second = "application/json";
    auto response = co_await t.Ask(headers, "");
    EXPECT_EQ(response.headers[":status"], "415");
    headers[4].second = "application/grpc-web";
    response = co_await t.Ask(headers, "");
    EXPECT_EQ(response.headers[":status"], "415");
    headers = RawPeer::GrpcHeaders("/test.Peer/Echo");
    headers[0].second = "PUT";
    response = co_await t.Ask(headers, "");
    EXPECT_EQ(response.headers[":status"], "405");
    EXPECT_EQ(t.service_.started, 0);
  }));
}

TEST_P(RpcWire, BadMessagesFailTheirCall) {
  Run(As([](RpcWire& t) -> Awaitable<void> {
    auto headers = RawPeer::GrpcHeaders("/test.Peer/Echo");
    headers.emplace_back("grpc-encoding", "gzip");
    auto compressed = co_await t.Ask(headers, Framed(kHi, 1));
    EXPECT_EQ(compressed.headers["grpc-status"], "12");
    EXPECT_TRUE(compressed.headers["grpc-message"].contains("gzip")) << compressed.headers["grpc-message"];
    auto undecodable = co_await t.AskEcho(Framed("\x0a\x7fhi"));
    EXPECT_EQ(undecodable.headers["grpc-status"], "13");
    auto truncated = co_await t.AskEcho(Framed(kHi).substr(0, 7));
    EXPECT_EQ(truncated.headers["grpc-status"], "13");
    auto huge = co_await t.AskEcho(std::string("\x00\x7f\xff\xff\xff", 5));
    EXPECT_EQ(huge.headers["grpc-status"], "8");
    auto timeless = RawPeer::GrpcHeaders("/test.Peer/Echo");
    timeless.emplace_back("grpc-timeout", "soon");
    auto malformed = co_await t.Ask(timeless, Framed(kHi));
    EXPECT_EQ(malformed.headers["grpc-status"], "13");
  }));
}

TEST_P(RpcWire, BinaryMetadataIsTakenWithAndWithoutPadding) {
  Run(As([](RpcWire& t) -> Awaitable<void> {
    auto headers = RawPeer::GrpcHeaders("/test.Peer/Echo");
    headers.emplace_back("x-a-bin", "YQ==");
    headers.emplace_back("x-b-bin", "YQ");
    auto response = co_await t.Ask(headers, Framed(kHi));
    EXPECT_EQ(response.headers["x-a-bin"], "YQ");
    EXPECT_EQ(response.headers["x-b-bin"], "YQ");
  }));
}

TEST_P(RpcWire, TooManyHeadersFailTheirCallOnly) {
  Run(As([](RpcWire& t) -> Awaitable<void> {
    RawPeer peer(co_await t.ConnectRaw(), false);
    auto headers = RawPeer::GrpcHeaders("/test.Peer/Echo");
    for (int i = 0; i < 8; ++i) headers.emplace_back("x-" + std::to_string(i), std::string(50'000, 'h'));
    const auto large = peer.Request(headers, Framed(kHi));
    EXPECT_TRUE(co_await peer.RunUntil([&] { return peer.streams()[large].closed; }));
    EXPECT_EQ(peer.streams()[large].headers["grpc-status"], "8");
    const auto small = peer.Request(RawPeer::GrpcHeaders("/test.Peer/Echo"), Framed(kHi));
    EXPECT_TRUE(co_await peer.RunUntil([&] { return peer.streams()[small].closed; }));
    EXPECT_EQ(peer.streams()[small].headers["grpc-status"], "0");
  }));
}

// A server that answers each request as the test says; `behave` gets the stream's id.
template <class Behave>
Awaitable<void> ServeRaw(Listener* listener, Behave behave) {
  auto stream = co_await listener->Accept();
  if (!stream) co_return;
  RawPeer peer(std::move(*stream), true);
  std::int32_t done = 0;
  while (
      co_await peer.RunUntil([&] { return peer.streams().contains(done + 2) || peer.streams().contains(1) * !done; })) {
    done = done == 0 ? 1 : done + 2;
    if (!behave(peer, done)) co_return;
  }
}

// What CallUnary() makes of a server's behaviour.
template <class Behave>
Error AnswerTo(Behave behave) {
  Error error(Code::kOk, "");
  Reactor reactor;
  auto main = [](Reactor& reactor, Behave behave, Error& error) -> Awaitable<void> {
    auto listener = Listener::Open(reactor, TcpAddress{"127.0.0.1", 0}).value();
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("server", ServeRaw(listener.get(), behave));
    auto channel = Channel::Create(reactor, TcpAddress{"127.0.0.1", listener->port()});
    StringValue message;
    CallOptions options;
    options.deadline = reactor.clock().After(5s);
    auto done = co_await CallUnary(*channel, kEcho, message, message, std::move(options));
    if (!done) error = done.error();
    co_await channel->Close();
    listener->Close();
    co_await tasks.Join();
  };
  RunOnReactor(reactor, main(reactor, behave, error));
  return error;
}

TEST(RpcForeignServer, HttpErrorsHaveTheirCodes) {
  const std::pair<const char*, Code> kStatuses[] = {{"400", Code::kInternal},         {"401", Code::kUnauthenticated},
                                                    {"403", Code::kPermissionDenied}, {"404", Code::kUnimplemented},
                                                    {"429", Code::kUnavailable},      {"503", Code::kUnavailable},
                                                    {"418", Code::kUnknown}};
  for (const auto& [status, code] : kStatuses) {
    const Error error = AnswerTo([status](RawPeer& peer, std::int32_t id) {
      peer.Respond(id, {{":status", status}, {"content-type", "text/html"}});
      return true;
    });
    EXPECT_EQ(error.code(), code) << status << " " << error.ToString();
  }
}

TEST(RpcForeignServer, StatusIsTakenFromTrailersOnly) {
  const Error error = AnswerTo([](RawPeer& peer, std::int32_t id) {
    peer.Respond(id, {{":status", "200"},
                      {"content-type", "application/grpc+proto"},
                      {"grpc-status", "5"},
                      {"grpc-message", "a%20b%zz%C3%A4"}});
    return true;
  });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.message(), "a b%zz\xc3\xa4");
}

TEST(RpcForeignServer, RefusedStreamDidNotExecute) {
  const Error error = AnswerTo([](RawPeer& peer, std::int32_t id) {
    peer.Reset(id, NGHTTP2_REFUSED_STREAM);
    return true;
  });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
}

TEST(RpcForeignServer, GoawayBelowTheCallMeansThatItDidNotExecute) {
  const Error error = AnswerTo([](RawPeer& peer, std::int32_t) {
    nghttp2_submit_goaway(peer.session(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
    return true;
  });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
}

TEST(RpcForeignServer, ResetsHaveTheirCodes) {
  const std::pair<std::uint32_t, Code> kResets[] = {{NGHTTP2_CANCEL, Code::kCanceled},
                                                    {NGHTTP2_ENHANCE_YOUR_CALM, Code::kResourceExhausted},
                                                    {NGHTTP2_INTERNAL_ERROR, Code::kInternal},
                                                    {NGHTTP2_INADEQUATE_SECURITY, Code::kPermissionDenied}};
  for (const auto& [reset, code] : kResets) {
    const Error error = AnswerTo([reset](RawPeer& peer, std::int32_t id) {
      peer.Reset(id, reset);
      return true;
    });
    EXPECT_EQ(error.code(), code) << reset;
    EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
  }
}

TEST(RpcForeignServer, ConnectionLostDuringTheCallMayHaveExecutedIt) {
  const Error error = AnswerTo([](RawPeer&, std::int32_t) { return false; });
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
}

Awaitable<void> ServeOneAtATime(Listener* listener, std::size_t* most_at_once) {
  auto stream = co_await listener->Accept();
  if (!stream) co_return;
  RawPeer peer(std::move(*stream), true, 1);
  std::int32_t answered = -1;
  while (co_await peer.RunUntil(
      [&] { return peer.streams().contains(answered + 2) && peer.streams()[answered + 2].ended; })) {
    std::size_t open = 0;
    for (const auto& [id, stream] : peer.streams()) open += stream.closed ? 0 : 1;
    *most_at_once = std::max(*most_at_once, open);
    answered += 2;
    peer.Respond(answered, {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "5"}});
  }
}

TEST(RpcForeignServer, CallsBeyondItsLimitWaitTheirTurn) {
  Reactor reactor;
  std::size_t most_at_once = 0;
  auto main = [](Reactor& reactor, std::size_t& most_at_once) -> Awaitable<void> {
    auto listener = Listener::Open(reactor, TcpAddress{"127.0.0.1", 0}).value();
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("server", ServeOneAtATime(listener.get(), &most_at_once));
    auto channel = Channel::Create(reactor, TcpAddress{"127.0.0.1", listener->port()});
    std::vector<std::unique_ptr<ClientCall>> calls;
    for (int i = 0; i < 10; ++i) {
      calls.push_back(channel->StartCall(kEcho, {}));
      calls.back()->WriteLast(StringValue());
    }
    for (auto& call : calls) {
      StringValue message;
      auto read = co_await call->Read(message);
      EXPECT_EQ(read.error().code(), Code::kNotFound) << read.error().ToString();
    }
    co_await channel->Close();
    listener->Close();
    co_await tasks.Join();
  };
  RunOnReactor(reactor, main(reactor, most_at_once));
  EXPECT_EQ(most_at_once, 1u);
}

}  // namespace
}  // namespace multigres::rpc
