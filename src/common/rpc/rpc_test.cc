// Calls of every shape between our two sides.
#include "common/rpc/limits.h"
#include "common/rpc/rpc_fixture.h"

namespace multigres::rpc {
namespace {

using namespace std::chrono_literals;

class Rpc : public RpcFixture {};
INSTANTIATE_TEST_SUITE_P(All, Rpc, testing::ValuesIn(kSetups), SetupName);

TEST_P(Rpc, UnaryCallEchoes) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto response = co_await t.Echo("hello");
    EXPECT_TRUE(response) << response.error().ToString();
    EXPECT_EQ(response->value(), "hello");
    EXPECT_TRUE(t.channel_->IsReady());
  });
}

TEST_P(Rpc, EmptyMessageIsAMessage) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto response = co_await t.Echo("");
    EXPECT_TRUE(response) << response.error().ToString();
  });
}

TEST_P(Rpc, ServerStreamArrivesInWhole) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = t.StartStream(1000, 1000);
    EXPECT_EQ((co_await t.CountMessages(*call)).value_or(-1), 1000);
  });
}

TEST_P(Rpc, EmptyServerStreamEndsWithItsStatus) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = t.StartStream(0, 1);
    EXPECT_EQ((co_await t.CountMessages(*call)).value_or(-1), 0);
  });
}

TEST_P(Rpc, ClientStreamIsCollected) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    ClientWriter<BytesValue, StringValue> call(t.channel_->StartCall(kCollect, {}));
    BytesValue message;
    message.set_value(std::string(50'000, 'c'));
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(co_await call.Write(message));
    }
    auto response = co_await call.Finish();
    EXPECT_TRUE(response) << response.error().ToString();
    EXPECT_EQ(response->value(), "5000000");
  });
}

TEST_P(Rpc, BothSidesTalkInTurns) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    ClientStream<StringValue, StringValue> call(t.channel_->StartCall(kChat, {}));
    for (int i = 0; i < 100; ++i) {
      StringValue message;
      message.set_value(std::to_string(i));
      EXPECT_TRUE(co_await call.Write(message));
      StringValue answer;
      EXPECT_TRUE((co_await call.Read(answer)).value_or(false));
      EXPECT_EQ(answer.value(), message.value());
    }
    call.WritesDone();
    StringValue answer;
    auto end = co_await call.Read(answer);
    EXPECT_TRUE(end && !*end);
  });
}

TEST_P(Rpc, UnaryCallRefusesASecondResponse) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    StringValue request;
    request.set_value("2 100");
    BytesValue response;
    const auto done = co_await CallUnary(*t.channel_, kStream, request, response, {});
    EXPECT_EQ(done.error().code(), Code::kInternal);
    EXPECT_EQ(done.error().message(), "the server sent more than one response");
    EXPECT_TRUE(co_await t.Echo("still there"));
  });
}

TEST_P(Rpc, LargestMessageGoesBothWays) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto response = co_await t.Echo(std::string(kMaxMessageBytes - 10, 'x'));
    EXPECT_TRUE(response) << response.error().ToString();
    EXPECT_EQ(response->value().size(), kMaxMessageBytes - 10);
  });
}

TEST_P(Rpc, OversizedRequestFailsItsCallOnly) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto response = co_await t.Echo(std::string(kMaxMessageBytes + 1, 'x'));
    EXPECT_EQ(response.error().code(), Code::kResourceExhausted);
    EXPECT_TRUE(co_await t.Echo("still there"));
  });
}

TEST_P(Rpc, OversizedResponseFailsItsCallOnly) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = t.StartStream(1, kMaxMessageBytes + 1);
    auto count = co_await t.CountMessages(*call);
    EXPECT_EQ(count.error().code(), Code::kResourceExhausted);
    EXPECT_TRUE(co_await t.Echo("still there"));
  });
}

TEST_P(Rpc, LargeStreamsRunAtOnce) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    TaskGroup tasks(t.reactor_->executor());
    auto one = [](RpcFixture& t) -> Awaitable<void> {
      auto call = t.StartStream(20, 1'000'000);
      EXPECT_EQ((co_await t.CountMessages(*call)).value_or(-1), 20);
    };
    for (int i = 0; i < 4; ++i) tasks.Spawn("stream", one(t));
    co_await tasks.Join();
  });
}

TEST_P(Rpc, ErrorTravelsWithMessageAndDetails) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto response = co_await t.Echo("fail");
    EXPECT_EQ(response.error().code(), Code::kNotFound);
    EXPECT_EQ(response.error().message(), "no such thing: 100% \xc3\xa4\n");
    EXPECT_EQ(response.error().status_details(), std::string("de\0tails", 8));
    EXPECT_EQ(response.error().execution(), Execution::kMayHaveExecuted);
  });
}

TEST_P(Rpc, ErrorTooLongForTrailersIsCut) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto response = co_await t.Echo("fail long");
    EXPECT_EQ(response.error().code(), Code::kAborted);
    EXPECT_GT(response.error().message().size(), 1000u);
    EXPECT_TRUE(response.error().status_details().empty());
    EXPECT_TRUE(co_await t.Echo("still there"));
  });
}

TEST_P(Rpc, UnknownMethodsAreUnimplemented) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    for (std::string_view path : {"/test.Peer/Nothing", "/no.Such/Method", "/nonsense"}) {
      StringValue message;
      auto done = co_await CallUnary(*t.channel_, path, message, message, {});
      EXPECT_EQ(done.error().code(), Code::kUnimplemented) << path << " " << done.error().ToString();
    }
  });
}

TEST_P(Rpc, MetadataTravelsBothWays) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    CallOptions options;
    const std::string bytes("\x00\x01\xff\n bytes", 10);
    options.metadata.Add("x-text", "some, text");
    options.metadata.Add("x-bytes-bin", bytes);
    auto call = t.channel_->StartCall(kEcho, std::move(options));
    StringValue message;
    call->WriteLast(message);
    EXPECT_TRUE((co_await call->Read(message)).value_or(false));
    EXPECT_EQ(call->initial_metadata().Get("x-text"), "some, text");
    EXPECT_EQ(call->initial_metadata().Get("x-bytes-bin"), bytes);
    auto end = co_await call->Read(message);
    EXPECT_TRUE(end && !*end);
    EXPECT_EQ(call->trailing_metadata().Get("x-text"), "some, text");
    EXPECT_EQ(call->trailing_metadata().Get("x-bytes-bin"), bytes);
  });
}

TEST_P(Rpc, LargeMetadataPasses) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    CallOptions options;
    for (int i = 0; i < 3; ++i) options.metadata.Add("x-" + std::to_string(i), std::string(60'000, 'a' + i));
    auto call = t.channel_->StartCall(kEcho, std::move(options));
    StringValue message;
    call->WriteLast(message);
    EXPECT_TRUE((co_await call->Read(message)).value_or(false));
    EXPECT_EQ(call->initial_metadata().Get("x-2").size(), 60'000u);
    auto end = co_await call->Read(message);
    EXPECT_TRUE(end && !*end);
    EXPECT_EQ(call->trailing_metadata().Get("x-2").size(), 60'000u);
  });
}

TEST_P(Rpc, LongestHeaderValuePasses) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    // Characters whose Huffman codes are longer than themselves, so that they travel as they are.
    std::string text(kMaxHeaderBytes, '~');
    for (std::size_t i = 0; i < text.size(); i += 2) text[i] = '}';
    CallOptions options;
    options.metadata.Add("x-text", text);
    options.metadata.Add("x-bytes-bin", std::string(kMaxHeaderBytes / 4 * 3, '\xff'));
    auto call = t.channel_->StartCall(kEcho, std::move(options));
    StringValue message;
    call->WriteLast(message);
    EXPECT_TRUE((co_await call->Read(message)).value_or(false));
    EXPECT_EQ(call->initial_metadata().Get("x-text"), text);
    EXPECT_EQ(call->initial_metadata().Get("x-bytes-bin").size(), kMaxHeaderBytes / 4 * 3);
  });
}

TEST_P(Rpc, IllegalMetadataFailsItsCallOnly) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    const std::pair<std::string, std::string> kIllegal[] = {
        {"x-text", "two\nlines"}, {"x-text", "\xc3\xa4"}, {"X-Upper", "x"}, {"grpc-status", "0"}, {":path", "/"}};
    for (const auto& [key, value] : kIllegal) {
      CallOptions options;
      options.metadata.Add(key, value);
      auto response = co_await t.Echo("", std::move(options));
      EXPECT_EQ(response.error().code(), Code::kInvalidArgument) << key;
    }
    EXPECT_EQ(t.service_.started, 0);
    EXPECT_TRUE(co_await t.Echo("still there"));
  });
}

TEST_P(Rpc, OversizedMetadataFailsItsCallOnly) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto hanging = t.channel_->StartCall(kHang, {});
    hanging->WriteLast(StringValue());
    CallOptions one_value;
    one_value.metadata.Add("x-large", std::string(70'000, 'l'));
    auto response = co_await t.Echo("", std::move(one_value));
    EXPECT_EQ(response.error().code(), Code::kResourceExhausted);
    EXPECT_EQ(response.error().execution(), Execution::kDidNotExecute);
    CallOptions sum;
    for (int i = 0; i < 6; ++i) sum.metadata.Add("x-" + std::to_string(i), std::string(60'000, 'l'));
    response = co_await t.Echo("", std::move(sum));
    EXPECT_EQ(response.error().code(), Code::kResourceExhausted);
    response = co_await t.Echo("large metadata");
    EXPECT_EQ(response.error().code(), Code::kResourceExhausted);
    EXPECT_TRUE(co_await t.Echo("still there"));
    EXPECT_EQ(t.service_.cancelled, 0);
  });
}

TEST_P(Rpc, TenThousandCallsAtOnce) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    constexpr int kCalls = 10'000;
    std::vector<std::unique_ptr<ClientCall>> calls;
    for (int i = 0; i < kCalls; ++i) {
      calls.push_back(t.channel_->StartCall(kHang, {}));
      calls.back()->WriteLast(StringValue());
    }
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.hanging == kCalls; }));
    EXPECT_TRUE(co_await t.Echo("one more"));
    calls.clear();
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.cancelled == kCalls; }));
    EXPECT_TRUE(co_await t.Echo("and again"));
  });
}

}  // namespace
}  // namespace multigres::rpc
