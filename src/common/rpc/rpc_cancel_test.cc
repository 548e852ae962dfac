// How calls end before their time: deadlines, cancellation, lost connections, a server that stops.
#include "common/rpc/rpc_fixture.h"

namespace multigres::rpc {
namespace {

using namespace std::chrono_literals;

class RpcEnd : public RpcFixture {};
INSTANTIATE_TEST_SUITE_P(All, RpcEnd, testing::ValuesIn(kSetups), SetupName);

Awaitable<Result<bool>> ReadOne(ClientCall& call) {
  StringValue message;
  co_return co_await call.Read(message);
}

std::unique_ptr<ClientCall> StartHanging(RpcFixture& t, CallOptions options = {}, std::string_view path = kHang) {
  auto call = t.channel_->StartCall(path, std::move(options));
  call->WriteLast(StringValue());
  return call;
}

TEST_P(RpcEnd, DeadlineEndsTheCallOnBothSides) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    EXPECT_TRUE(co_await t.Echo("connect"));
    CallOptions options;
    options.deadline = t.clock().After(30ms);
    auto call = StartHanging(t, std::move(options));
    auto read = co_await ReadOne(*call);
    EXPECT_EQ(read.error().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(read.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.cancelled == 1; }));
  });
}

TEST_P(RpcEnd, PassedDeadlineNeverLeaves) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    EXPECT_TRUE(co_await t.Echo("connect"));
    CallOptions options;
    options.deadline = Deadline(t.clock().Now() - 1s);
    auto response = co_await t.Echo("late", std::move(options));
    EXPECT_EQ(response.error().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(response.error().execution(), Execution::kDidNotExecute);
    EXPECT_EQ(t.service_.started, 1);
  });
}

TEST_P(RpcEnd, HandlerLearnsThatTheClientCancelled) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = StartHanging(t);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.hanging == 1; }));
    call->Cancel();
    auto read = co_await ReadOne(*call);
    EXPECT_EQ(read.error().code(), Code::kCanceled);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.cancelled == 1; }));
    EXPECT_EQ(t.service_.reason, CancelReason::kCancelled);
  });
}

TEST_P(RpcEnd, CancelTokenEndsTheCall) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    CancelToken token;
    CallOptions options;
    options.cancel = &token;
    auto call = StartHanging(t, std::move(options));
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.hanging == 1; }));
    token.Cancel(CancelReason::kDeadline);
    auto read = co_await ReadOne(*call);
    EXPECT_EQ(read.error().code(), Code::kDeadlineExceeded);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.cancelled == 1; }));
  });
}

TEST_P(RpcEnd, CancelledTokenStartsNothing) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    EXPECT_TRUE(co_await t.Echo("connect"));
    CancelToken token;
    token.Cancel(CancelReason::kCancelled);
    CallOptions options;
    options.cancel = &token;
    auto response = co_await t.Echo("late", std::move(options));
    EXPECT_EQ(response.error().code(), Code::kCanceled);
    EXPECT_EQ(t.service_.started, 1);
  });
}

TEST_P(RpcEnd, DroppedCallIsCancelled) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = StartHanging(t);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.hanging == 1; }));
    call.reset();
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.cancelled == 1; }));
  });
}

TEST_P(RpcEnd, LostConnectionCancelsHandlers) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = StartHanging(t);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.hanging == 1; }));
    co_await t.channel_->Close();
    auto read = co_await ReadOne(*call);
    EXPECT_EQ(read.error().code(), Code::kUnavailable);
    EXPECT_EQ(read.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.cancelled == 1; }));
  });
}

TEST_P(RpcEnd, UnreadStreamHoldsItsWriterBackAndNobodyElse) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = StartHanging(t, {}, kPour);
    // More than a megabyte here, and as much in each of: the server's queue, the sockets.
    std::int64_t last = -1;
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] {
      const bool still = t.service_.poured_bytes > 0 && t.service_.poured_bytes == last;
      last = t.service_.poured_bytes;
      return still;
    }));
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(co_await t.Echo("meanwhile"));
    }
    EXPECT_LT(t.service_.poured_bytes, 4'000'000);
    BytesValue message;
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE((co_await call->Read(message)).value_or(false));
    }
    EXPECT_GT(t.service_.poured_bytes, 9'000'000);
  });
}

Awaitable<void> WriteWithoutEnd(ClientCall* call, std::int64_t* written) {
  BytesValue message;
  message.set_value(std::string(100'000, 'w'));
  while (co_await call->Write(message)) *written += 100'000;
}

TEST_P(RpcEnd, ServerThatDoesNotReadHoldsTheClientBack) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = t.channel_->StartCall(kIgnore, {});
    std::int64_t written = 0;
    TaskGroup tasks(t.reactor_->executor());
    tasks.Spawn("writer", WriteWithoutEnd(call.get(), &written));
    std::int64_t last = -1;
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] {
      const bool still = written > 0 && written == last;
      last = written;
      return still;
    }));
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(co_await t.Echo("meanwhile"));
    }
    EXPECT_LT(written, 4'000'000);
    call->Cancel();
    co_await tasks.Join();
  });
}

TEST_P(RpcEnd, StopLetsOpenCallsFinish) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    ClientStream<StringValue, StringValue> chat(t.channel_->StartCall(kChat, {}));
    StringValue message;
    EXPECT_TRUE(co_await chat.Write(message));
    EXPECT_TRUE((co_await chat.Read(message)).value_or(false));
    TaskGroup tasks(t.reactor_->executor());
    tasks.Spawn("stop", t.StopServer(10s));
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return !t.channel_->IsReady(); }));
    message.set_value("last words");
    EXPECT_TRUE(co_await chat.Write(message));
    EXPECT_TRUE((co_await chat.Read(message)).value_or(false));
    EXPECT_EQ(message.value(), "last words");
    auto late = co_await t.Echo("late");
    EXPECT_EQ(late.error().code(), Code::kUnavailable);
    EXPECT_EQ(late.error().execution(), Execution::kDidNotExecute);
    chat.WritesDone();
    auto end = co_await chat.Read(message);
    EXPECT_TRUE(end && !*end);
    co_await tasks.Join();
  });
}

TEST_P(RpcEnd, StopCancelsWhatOutlastsItsDeadline) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = StartHanging(t);
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.hanging == 1; }));
    co_await t.StopServer(20ms);
    EXPECT_EQ(t.service_.cancelled, 1);
    EXPECT_EQ(t.service_.reason, CancelReason::kShutdown);
    // The handler's own status made it out.
    auto read = co_await ReadOne(*call);
    EXPECT_EQ(read.error().code(), Code::kAborted) << read.error().ToString();
  });
}

TEST_P(RpcEnd, NoServerFailsFastAndDidNotExecute) {
  Run([](RpcFixture& t) -> Awaitable<void> {
    co_await t.StopServer();
    for (int i = 0; i < 3; ++i) {
      auto response = co_await t.Echo("anybody?");
      EXPECT_EQ(response.error().code(), Code::kUnavailable);
      EXPECT_EQ(response.error().execution(), Execution::kDidNotExecute);
    }
    CallOptions options;
    options.wait_for_ready = true;
    options.deadline = t.clock().After(100ms);
    const TimePoint begin = t.clock().Now();
    auto response = co_await t.Echo("anybody?", std::move(options));
    EXPECT_EQ(response.error().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(response.error().execution(), Execution::kDidNotExecute);
    EXPECT_GE(t.clock().Now() - begin, 100ms);
  });
}

TEST_P(RpcEnd, ChannelReconnectsByItself) {
  channel_options_.backoff_max = 20ms;
  Run([](RpcFixture& t) -> Awaitable<void> {
    EXPECT_TRUE(co_await t.Echo("one"));
    co_await t.StopServer();
    TestService service;
    auto second = Server::Create({t.reactor_});
    second->Register(service);
    auto listening = second->Listen(t.address_);
    EXPECT_TRUE(listening) << listening.error().ToString();
    CallOptions options;
    options.wait_for_ready = true;
    options.deadline = t.clock().After(10s);
    auto response = co_await t.Echo("two", std::move(options));
    EXPECT_TRUE(response) << response.error().ToString();
    co_await t.channel_->Close();
    co_await second->Stop(Deadline());
  });
}

TEST_P(RpcEnd, AgedConnectionIsReplacedWithoutAnError) {
  server_options_.max_connection_age = 30ms;
  channel_options_.backoff_max = 1ms;
  Run([](RpcFixture& t) -> Awaitable<void> {
    const Deadline end = t.clock().After(200ms);
    while (!end.Passed(t.clock().Now())) {
      CallOptions options;
      options.wait_for_ready = true;
      auto response = co_await t.Echo("x", std::move(options));
      EXPECT_TRUE(response) << response.error().ToString();
    }
  });
}

TEST_P(RpcEnd, ConnectionThatRanOutOfStreamsIsReplaced) {
  channel_options_.max_calls_per_connection = 3;
  channel_options_.backoff_max = 1ms;
  Run([](RpcFixture& t) -> Awaitable<void> {
    std::vector<std::unique_ptr<ClientCall>> calls;
    calls.reserve(10);
    for (int i = 0; i < 10; ++i) {
      calls.push_back(t.StartStream(3, 100));
    }
    for (auto& call : calls) {
      auto count = co_await t.CountMessages(*call);
      EXPECT_TRUE(count) << count.error().ToString();
      EXPECT_EQ(count.value_or(-1), 3);
    }
  });
}

TEST_P(RpcEnd, PingsKeepAConnectionButTooManyEndIt) {
  server_options_.min_ping_interval = 10s;
  channel_options_.keepalive_time = 2ms;
  Run([](RpcFixture& t) -> Awaitable<void> {
    auto call = StartHanging(t);
    auto read = co_await ReadOne(*call);
    EXPECT_EQ(read.error().code(), Code::kUnavailable) << read.error().ToString();
    EXPECT_TRUE(co_await Eventually(t.clock(), [&] { return t.service_.cancelled == 1; }));
  });
}

TEST_P(RpcEnd, RareEnoughPingsAreFine) {
  server_options_.min_ping_interval = 1ms;
  server_options_.keepalive_time = 3ms;
  channel_options_.keepalive_time = 3ms;
  Run([](RpcFixture& t) -> Awaitable<void> {
    CallOptions options;
    options.deadline = t.clock().After(100ms);
    auto call = StartHanging(t, std::move(options));
    auto read = co_await ReadOne(*call);
    EXPECT_EQ(read.error().code(), Code::kDeadlineExceeded) << read.error().ToString();
  });
}

}  // namespace
}  // namespace multigres::rpc
