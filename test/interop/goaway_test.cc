// The end of connections and servers, between our runtime and grpc++.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "common/rpc/channel.h"
#include "grpcxx_server.h"
#include "interop.grpc.pb.h"
#include "interop.rpc.h"
#include "our_server.h"
#include "tools/async/event.h"

namespace multigres::interop {
namespace {

using ::interop::Request;
using ::interop::Response;
using ::interop::rpc::InteropClient;
using std::chrono::milliseconds;
using std::chrono::seconds;

Request Hanging(const std::string& key) {
  Request request;
  request.set_hang_key(key);
  request.set_count(1);
  return request;
}

std::unique_ptr<::interop::Interop::Stub> StubFor(std::uint16_t port) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Retries would hide what the server refuses.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return ::interop::Interop::NewStub(
      grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments));
}

std::unique_ptr<grpc::ClientContext> Context() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + seconds(30));
  return context;
}

TEST(OurServerStop, OpenCallsFinishAndNewOnesAreRefused) {
  OurServer server;
  const auto stub = StubFor(server.port());
  const auto context = Context();
  const auto reader = stub->ServerStream(context.get(), Hanging("open"));
  Response response;
  ASSERT_TRUE(reader->Read(&response));

  std::thread stopping([&] { server.Stop(seconds(30)); });
  // The stop has begun once new calls fail.
  grpc::Status refused;
  do {
    refused = stub->Unary(Context().get(), Request(), &response);
  } while (refused.ok());
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE) << refused.error_message();

  server.hub().Reach("open", Phase::kReleased);
  EXPECT_FALSE(reader->Read(&response));
  const grpc::Status end = reader->Finish();
  EXPECT_TRUE(end.ok()) << end.error_message();
  stopping.join();
}

TEST(OurServerStop, CancelsWhatOutlastsTheGrace) {
  OurServer server;
  const auto stub = StubFor(server.port());
  const auto context = Context();
  const auto reader = stub->ServerStream(context.get(), Hanging("stuck"));
  Response response;
  ASSERT_TRUE(reader->Read(&response));
  std::promise<void> cancelled;
  server.hub().When("stuck", Phase::kCancelled, [&] { cancelled.set_value(); });
  server.Stop(milliseconds(50));
  cancelled.get_future().wait();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_FALSE(reader->Finish().ok());
}

// Connections end under the calls all the time; none of those may notice.
TEST(OurServerMaxAge, LosesNoCallOfAGrpcxxClient) {
  rpc::ServerOptions options;
  options.max_connection_age = milliseconds(30);
  OurServer server(options);
  const auto stub = StubFor(server.port());
  std::set<std::string> peers;
  Response response;
  const auto end = std::chrono::steady_clock::now() + milliseconds(500);
  while (std::chrono::steady_clock::now() < end) {
    const auto context = Context();
    context->set_wait_for_ready(true);
    const grpc::Status status = stub->Unary(context.get(), Request(), &response);
    ASSERT_TRUE(status.ok()) << status.error_code() << " " << status.error_message();
  }
}

Awaitable<void> ReadToEndWhileStopping(rpc::Channel& channel, GrpcxxServer& server) {
  InteropClient client(channel);
  rpc::CallOptions options;
  options.deadline = channel.reactor().clock().After(seconds(30));
  options.wait_for_ready = true;
  auto reader = client.ServerStream(Hanging("open"), options);
  Response response;
  const Result<bool> first = co_await reader.Read(response);
  EXPECT_TRUE(first && *first);

  std::thread stopping([&] { server.Stop(seconds(30)); });
  // Until the GOAWAY has come. (Calls that are under way just then grpc++ would answer with CANCELLED.)
  while (channel.IsReady()) co_await SleepFor(channel.reactor().clock(), milliseconds(1));
  options.wait_for_ready = false;
  const auto refused = co_await client.Unary(Request(), options);
  EXPECT_FALSE(refused.has_value());
  if (!refused) {
    EXPECT_EQ(refused.error().code(), Code::kUnavailable) << refused.error().ToString();
    EXPECT_EQ(refused.error().execution(), Execution::kDidNotExecute) << refused.error().ToString();
  }
  server.hub().Reach("open", Phase::kReleased);
  const Result<bool> end = co_await reader.Read(response);
  EXPECT_TRUE(end.has_value()) << end.error().ToString();
  if (end) EXPECT_FALSE(*end);
  stopping.join();
}

Awaitable<void> CallFor(rpc::Channel& channel, Duration duration, int& calls) {
  InteropClient client(channel);
  const Deadline end = channel.reactor().clock().After(duration);
  while (!end.Passed(channel.reactor().clock().Now())) {
    rpc::CallOptions options;
    options.deadline = channel.reactor().clock().After(seconds(30));
    options.wait_for_ready = true;
    const auto response = co_await client.Unary(Request(), options);
    EXPECT_TRUE(response.has_value()) << response.error().ToString();
    if (!response) break;
    ++calls;
  }
}

Awaitable<void> ExpectLoss(rpc::Channel& channel, GrpcxxServer& server) {
  InteropClient client(channel);
  rpc::CallOptions options;
  options.deadline = channel.reactor().clock().After(seconds(30));
  options.wait_for_ready = true;
  auto reader = client.ServerStream(Hanging("lost"), options);
  Response response;
  const Result<bool> first = co_await reader.Read(response);
  EXPECT_TRUE(first && *first);
  std::thread stopping([&] { server.Stop(milliseconds(0)); });
  const Result<bool> lost = co_await reader.Read(response);
  EXPECT_FALSE(lost.has_value());
  if (!lost) EXPECT_EQ(lost.error().execution(), Execution::kMayHaveExecuted) << lost.error().ToString();
  stopping.join();
}

template <class Function, class... Arguments>
Awaitable<void> OnChannel(Reactor& reactor, std::uint16_t port, Function function, Arguments&... arguments) {
  const auto channel = rpc::Channel::Create(reactor, TcpAddress{"127.0.0.1", port});
  co_await function(*channel, arguments...);
  co_await channel->Close();
}

TEST(OurChannel, FinishesOpenCallsOfAServerThatStops) {
  GrpcxxServer server;
  Reactor reactor;
  RunOnReactor(reactor, OnChannel(reactor, server.port(), ReadToEndWhileStopping, server));
}

TEST(OurChannel, DoesNotClaimThatALostCallNeverRan) {
  GrpcxxServer server;
  Reactor reactor;
  RunOnReactor(reactor, OnChannel(reactor, server.port(), ExpectLoss, server));
}

TEST(OurChannel, LosesNoCallToAServerThatEndsItsConnections) {
  GrpcxxServer server([](grpc::ServerBuilder& builder) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, 30);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 5000);
  });
  Reactor reactor;
  int calls = 0;
  const auto call = [&calls](rpc::Channel& channel) { return CallFor(channel, milliseconds(500), calls); };
  RunOnReactor(reactor, OnChannel(reactor, server.port(), call));
  EXPECT_GT(calls, 0);
}

TEST(OurChannel, FailsFastWithProofWhileNobodyListens) {
  std::uint16_t port = 0;
  {
    const GrpcxxServer server;
    port = server.port();
  }
  Reactor reactor;
  const auto call = [](rpc::Channel& channel) -> Awaitable<void> {
    InteropClient client(channel);
    const auto response = co_await client.Unary(Request());
    EXPECT_FALSE(response.has_value());
    if (response) co_return;
    EXPECT_EQ(response.error().code(), Code::kUnavailable);
    EXPECT_EQ(response.error().execution(), Execution::kDidNotExecute);
  };
  RunOnReactor(reactor, OnChannel(reactor, port, call));
}

}  // namespace
}  // namespace multigres::interop
