// Our client against other servers: grpc++'s, ours, and whichever MULTIGRES_INTEROP_SERVER names (host:port).
#include <gtest/gtest.h>

#include "common/rpc/channel.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/health/v1/health.rpc.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.rpc.h"
#include "grpcxx_server.h"
#include "interop.pb.h"
#include "interop.rpc.h"
#include "our_server.h"

namespace multigres::interop {
namespace {

using ::interop::ControlRequest;
using ::interop::Request;
using ::interop::Response;
using ::interop::rpc::InteropClient;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Peer {
 public:
  virtual ~Peer() = default;
  virtual Address address() const = 0;
};

template <class Server>
class LocalPeer : public Peer {
 public:
  Address address() const override { return TcpAddress{"127.0.0.1", server_.port()}; }

 private:
  Server server_;
};

class ExternalPeer : public Peer {
 public:
  explicit ExternalPeer(Address address) : address_(std::move(address)) {}
  Address address() const override { return address_; }

 private:
  Address address_;
};

std::unique_ptr<Peer> MakePeer(const std::string& name) {
  if (name == "Grpcxx") return std::make_unique<LocalPeer<GrpcxxServer>>();
  if (name == "Own") return std::make_unique<LocalPeer<OurServer>>();
  return std::make_unique<ExternalPeer>(*ParseAddress(std::getenv("MULTIGRES_INTEROP_SERVER")));
}

std::vector<std::string> PeerNames() {
  if (std::getenv("MULTIGRES_INTEROP_SERVER") != nullptr) return {"External"};
  return {"Grpcxx", "Own"};
}

// False, with a failure of the test, for an error.
template <class T>
bool Ok(const Result<T>& result) {
  if (!result) ADD_FAILURE() << result.error().ToString();
  return result.has_value();
}

rpc::CallOptions Within(rpc::Channel& channel, Duration timeout = seconds(30)) {
  rpc::CallOptions options;
  options.deadline = channel.reactor().clock().After(timeout);
  options.wait_for_ready = true;
  return options;
}

using Body = Awaitable<void> (*)(rpc::Channel&);

Awaitable<void> RunOnChannel(Reactor& reactor, Address address, Body body) {
  const auto channel = rpc::Channel::Create(reactor, std::move(address));
  co_await body(*channel);
  co_await channel->Close();
}

void RunAt(const Address& address, Body body) {
  Reactor reactor;
  RunOnReactor(reactor, RunOnChannel(reactor, address, body));
}

class Client : public testing::TestWithParam<std::string> {
 protected:
  // One server for all tests of a peer.
  static Peer& peer() {
    static std::map<std::string, std::unique_ptr<Peer>> peers;
    std::unique_ptr<Peer>& peer = peers[GetParam()];
    if (!peer) peer = MakePeer(GetParam());
    return *peer;
  }
  static void RunWithPeer(Body body) { RunAt(peer().address(), body); }
};

INSTANTIATE_TEST_SUITE_P(Peer, Client, testing::ValuesIn(PeerNames()), [](const auto& info) { return info.param; });

Awaitable<void> Await(rpc::Channel& channel, std::string key, ControlRequest::Action action) {
  InteropClient client(channel);
  ControlRequest request;
  request.set_key(std::move(key));
  request.set_action(action);
  Ok(co_await client.Control(request, Within(channel)));
}

TEST_P(Client, UnaryEchoes) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_payload("ping");
    const auto response = co_await client.Unary(request, Within(channel));
    if (Ok(response)) EXPECT_EQ(response->payload(), "ping");
  });
}

TEST_P(Client, EmptyMessagesPass) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    const auto response = co_await client.Unary(Request(), Within(channel));
    if (Ok(response)) EXPECT_EQ(response->ByteSizeLong(), 0);
  });
}

TEST_P(Client, ServerStreamComesInOrderAndEnds) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_count(1000);
    request.set_response_bytes(100);
    auto reader = client.ServerStream(request, Within(channel));
    std::uint64_t received = 0;
    Response response;
    for (;;) {
      const Result<bool> read = co_await reader.Read(response);
      if (!Ok(read) || !*read) break;
      EXPECT_EQ(response.count(), received++);
      EXPECT_EQ(response.payload().size(), 100);
    }
    EXPECT_EQ(received, 1000);
  });
}

TEST_P(Client, EmptyServerStreamEnds) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    auto reader = client.ServerStream(Request(), Within(channel));
    Response response;
    const Result<bool> read = co_await reader.Read(response);
    if (Ok(read)) EXPECT_FALSE(*read);
  });
}

TEST_P(Client, ClientStreamIsCounted) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    auto writer = client.ClientStream(Within(channel));
    Request request;
    request.set_payload(std::string(1000, 'x'));
    for (int i = 0; i < 1000; ++i) Ok(co_await writer.Write(request));
    const Result<Response> response = co_await writer.Finish();
    if (!Ok(response)) co_return;
    EXPECT_EQ(response->count(), 1000);
    EXPECT_EQ(response->total_bytes(), 1'000'000);
  });
}

TEST_P(Client, EmptyClientStreamIsAnswered) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    auto writer = client.ClientStream(Within(channel));
    const Result<Response> response = co_await writer.Finish();
    if (Ok(response)) EXPECT_EQ(response->count(), 0);
  });
}

TEST_P(Client, BidiAnswersEachRequestInTurn) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    auto stream = client.Bidi(Within(channel));
    Response response;
    for (int i = 0; i < 200; ++i) {
      Request request;
      request.set_payload(std::to_string(i));
      if (!Ok(co_await stream.Write(request))) co_return;
      const Result<bool> read = co_await stream.Read(response);
      if (!Ok(read)) co_return;
      EXPECT_TRUE(*read);
      EXPECT_EQ(response.payload(), std::to_string(i));
    }
    stream.WritesDone();
    const Result<bool> end = co_await stream.Read(response);
    if (Ok(end)) EXPECT_FALSE(*end);
  });
}

// On a busy machine a short deadline can pass before the handler runs; then a longer one is tried.
TEST_P(Client, DeadlineEndsTheCallOnBothSides) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    ControlRequest cancelled;
    cancelled.set_key("deadline");
    cancelled.set_action(ControlRequest::AWAIT_CANCELLED);
    Request request;
    request.set_hang_key("deadline");
    bool seen = false;
    for (auto timeout = milliseconds(100); !seen && timeout < seconds(10); timeout *= 3) {
      const auto response = co_await client.Unary(request, Within(channel, timeout));
      EXPECT_FALSE(response.has_value());
      if (!response) EXPECT_EQ(response.error().code(), Code::kDeadlineExceeded) << response.error().ToString();
      seen = (co_await client.Control(cancelled, Within(channel, seconds(1)))).has_value();
    }
    EXPECT_TRUE(seen) << "the handler was not cancelled";
  });
}

TEST_P(Client, CancelReachesTheHandler) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_hang_key("cancel");
    request.set_count(1);
    auto reader = client.ServerStream(request, Within(channel));
    Response response;
    const Result<bool> first = co_await reader.Read(response);
    if (Ok(first)) EXPECT_TRUE(*first);
    co_await Await(channel, "cancel", ControlRequest::AWAIT_STARTED);
    reader.Cancel();
    const Result<bool> second = co_await reader.Read(response);
    EXPECT_FALSE(second.has_value());
    if (!second) EXPECT_EQ(second.error().code(), Code::kCanceled) << second.error().ToString();
    co_await Await(channel, "cancel", ControlRequest::AWAIT_CANCELLED);
  });
}

TEST_P(Client, CancelTokenReachesTheHandlerOfAUnaryCall) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    CancelToken token;
    Request request;
    request.set_hang_key("token");
    rpc::CallOptions options = Within(channel);
    options.cancel = &token;
    const auto call = channel.StartCall("/interop.Interop/Unary", std::move(options));
    call->WriteLast(request);
    co_await Await(channel, "token", ControlRequest::AWAIT_STARTED);
    token.Cancel(CancelReason::kCancelled);
    Response response;
    const Result<bool> read = co_await call->Read(response);
    EXPECT_FALSE(read.has_value());
    if (!read) EXPECT_EQ(read.error().code(), Code::kCanceled) << read.error().ToString();
    co_await Await(channel, "token", ControlRequest::AWAIT_CANCELLED);
  });
}

TEST_P(Client, DroppedCallIsCancelled) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    {
      InteropClient client(channel);
      Request request;
      request.set_hang_key("dropped");
      const auto reader = client.ServerStream(request, Within(channel));
      co_await Await(channel, "dropped", ControlRequest::AWAIT_STARTED);
    }
    co_await Await(channel, "dropped", ControlRequest::AWAIT_CANCELLED);
  });
}

TEST_P(Client, StatusMessageAndDetailsCome) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    ::google::rpc::Status status;
    status.set_code(9);
    status.set_message("100% d\xC3\xA9j\xC3\xA0 vu\n");
    status.add_details()->set_value(std::string(20'000, '\xFE'));
    InteropClient client(channel);
    Request request;
    request.mutable_failure()->set_code(9);
    request.mutable_failure()->set_message(status.message());
    request.mutable_failure()->set_details(status.SerializeAsString());
    const auto response = co_await client.Unary(request, Within(channel));
    EXPECT_FALSE(response.has_value());
    if (response) co_return;
    EXPECT_EQ(response.error().code(), Code::kFailedPrecondition);
    EXPECT_EQ(response.error().message(), "100% d\xC3\xA9j\xC3\xA0 vu\n");
    EXPECT_EQ(response.error().status_details(), status.SerializeAsString());
  });
}

TEST_P(Client, ErrorComesBehindTheMessagesOfAStream) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_count(3);
    request.mutable_failure()->set_code(10);
    request.mutable_failure()->set_message("aborted");
    auto reader = client.ServerStream(request, Within(channel));
    Response response;
    for (int i = 0; i < 3; ++i) Ok(co_await reader.Read(response));
    const Result<bool> end = co_await reader.Read(response);
    EXPECT_FALSE(end.has_value());
    if (!end) EXPECT_EQ(end.error().code(), Code::kAborted);
  });
}

TEST_P(Client, UnknownMethodIsUnimplemented) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    for (const std::string_view path : {"/interop.Interop/Nothing", "/nobody.Service/Unary"}) {
      Response response;
      const Result<> result = co_await rpc::CallUnary(channel, path, Request(), response, Within(channel));
      EXPECT_FALSE(result.has_value());
      if (!result) EXPECT_EQ(result.error().code(), Code::kUnimplemented) << result.error().ToString();
    }
  });
}

// 64 KiB and more in all, in both directions, text and binary.
TEST_P(Client, LargeMetadataPasses) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    rpc::CallOptions options = Within(channel);
    const std::string text(10'000, 't');
    std::string binary(9'000, '\0');
    for (std::size_t i = 0; i < binary.size(); ++i) binary[i] = static_cast<char>(i);
    for (int i = 0; i < 3; ++i) {
      options.metadata.Add("x-initial-" + std::to_string(i), text);
      options.metadata.Add("x-trailing-" + std::to_string(i), text);
      options.metadata.Add("x-trailing-" + std::to_string(i) + "-bin", binary);
    }
    const auto call = channel.StartCall("/interop.Interop/Unary", std::move(options));
    call->WriteLast(Request());
    Response response;
    const Result<bool> read = co_await call->Read(response);
    if (Ok(read)) EXPECT_TRUE(*read);
    const Result<bool> end = co_await call->Read(response);
    if (Ok(end)) EXPECT_FALSE(*end);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(call->initial_metadata().Get("x-initial-" + std::to_string(i)), text);
      EXPECT_EQ(call->trailing_metadata().Get("x-trailing-" + std::to_string(i)), text);
      EXPECT_EQ(call->trailing_metadata().Get("x-trailing-" + std::to_string(i) + "-bin"), binary);
    }
  });
}

TEST_P(Client, MetadataBeyondTheLimitFailsItsCallOnly) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request hanging;
    hanging.set_hang_key("beside-large-metadata");
    hanging.set_count(1);
    auto beside = client.ServerStream(hanging, Within(channel));
    Response response;
    Ok(co_await beside.Read(response));

    rpc::CallOptions options = Within(channel);
    options.metadata.Add("x-large", std::string(70'000, 'v'));
    const auto refused = co_await client.Unary(Request(), std::move(options));
    EXPECT_FALSE(refused.has_value());

    co_await Await(channel, hanging.hang_key(), ControlRequest::RELEASE);
    const Result<bool> end = co_await beside.Read(response);
    if (Ok(end)) EXPECT_FALSE(*end) << "the connection did not survive";
  });
}

// nghttp2 can't take a header of more than 64 KiB and ends the connection: the next call has a new one.
TEST_P(Client, OutlivesAHeaderThatItCannotTake) {
  if (GetParam() == "Own") GTEST_SKIP() << "our server does not send such a header";
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.mutable_failure()->set_code(9);
    request.mutable_failure()->set_details(std::string(60'000, 'd'));  // 80 000 in base64
    const auto failed = co_await client.Unary(request, Within(channel));
    EXPECT_FALSE(failed.has_value());
    Ok(co_await client.Unary(Request(), Within(channel)));
  });
}

// The payload that makes a message of `bytes`: one tag byte and a length of four bytes precede it.
std::string PayloadOfMessage(std::size_t bytes) {
  return std::string(bytes - 5, 'p');
}

TEST_P(Client, MessagesOf16MiBPassBothWays) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_payload(PayloadOfMessage(rpc::kMaxMessageBytes));
    EXPECT_EQ(request.ByteSizeLong(), rpc::kMaxMessageBytes);
    const auto response = co_await client.Unary(request, Within(channel));
    if (Ok(response)) EXPECT_EQ(response->payload(), request.payload());
  });
}

TEST_P(Client, LongerResponseIsResourceExhausted) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_response_bytes(rpc::kMaxMessageBytes + 1);
    const auto response = co_await client.Unary(request, Within(channel));
    EXPECT_FALSE(response.has_value());
    if (!response) EXPECT_EQ(response.error().code(), Code::kResourceExhausted) << response.error().ToString();
    const auto next = co_await client.Unary(Request(), Within(channel));
    Ok(next);
  });
}

TEST_P(Client, SlowReaderGetsEverything) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_count(64);
    request.set_response_bytes(1024 * 1024);
    auto reader = client.ServerStream(request, Within(channel));
    Response response;
    // Far more than all windows; another call passes meanwhile.
    Ok(co_await reader.Read(response));
    Ok(co_await client.Unary(Request(), Within(channel)));
    std::size_t received = 1;
    for (;;) {
      const Result<bool> read = co_await reader.Read(response);
      if (!Ok(read) || !*read) break;
      ++received;
    }
    EXPECT_EQ(received, 64);
  });
}

TEST_P(Client, TenThousandStreamsAtOnce) {
  static constexpr std::size_t kMany = 10'000;
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    Request request;
    request.set_count(1);
    request.set_hang_key("many");
    std::vector<rpc::ClientReader<Response>> readers;
    readers.reserve(kMany);
    for (std::size_t i = 0; i < kMany; ++i) readers.push_back(client.ServerStream(request, Within(channel)));
    Response response;
    std::size_t opened = 0;
    for (auto& reader : readers) {
      const Result<bool> read = co_await reader.Read(response);
      if (read && *read) ++opened;
    }
    EXPECT_EQ(opened, kMany);
    co_await Await(channel, "many", ControlRequest::RELEASE);
    std::size_t ended = 0;
    for (auto& reader : readers) {
      const Result<bool> read = co_await reader.Read(response);
      if (read && !*read) ++ended;
    }
    EXPECT_EQ(ended, kMany);
  });
}

TEST_P(Client, HealthOfTheServerIsServing) {
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    ::grpc::health::v1::rpc::HealthClient health(channel);
    const auto response = co_await health.Check({}, Within(channel));
    if (Ok(response)) EXPECT_EQ(response->status(), ::grpc::health::v1::HealthCheckResponse::SERVING);
    ::grpc::health::v1::HealthCheckRequest request;
    request.set_service("no.such.Service");
    const auto unknown = co_await health.Check(request, Within(channel));
    EXPECT_FALSE(unknown.has_value());
    if (!unknown) EXPECT_EQ(unknown.error().code(), Code::kNotFound);
    auto watch = health.Watch({}, Within(channel));
    ::grpc::health::v1::HealthCheckResponse update;
    const Result<bool> read = co_await watch.Read(update);
    if (Ok(read)) EXPECT_EQ(update.status(), ::grpc::health::v1::HealthCheckResponse::SERVING);
  });
}

TEST_P(Client, ReflectionListsServices) {
  if (GetParam() == "Grpcxx") GTEST_SKIP() << "its reflection brings a copy of our descriptors, which protobuf forbids";
  RunWithPeer([](rpc::Channel& channel) -> Awaitable<void> {
    ::grpc::reflection::v1alpha::rpc::ServerReflectionClient reflection(channel);
    auto stream = reflection.ServerReflectionInfo(Within(channel));
    ::grpc::reflection::v1alpha::ServerReflectionRequest request;
    request.set_list_services("");
    if (!Ok(co_await stream.Write(request))) co_return;
    ::grpc::reflection::v1alpha::ServerReflectionResponse response;
    if (!Ok(co_await stream.Read(response))) co_return;
    std::set<std::string> names;
    for (const auto& service : response.list_services_response().service()) names.insert(service.name());
    EXPECT_TRUE(names.contains("interop.Interop"));
    EXPECT_TRUE(names.contains("grpc.health.v1.Health"));
  });
}

}  // namespace
}  // namespace multigres::interop
