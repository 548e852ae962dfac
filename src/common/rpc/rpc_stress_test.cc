// Calls that are made, dropped, cancelled and timed out at random on connections that come and go.
#include <random>

#include "common/rpc/rpc_fixture.h"

namespace multigres::rpc {
namespace {

using namespace std::chrono_literals;

class RpcStress : public RpcFixture {};
INSTANTIATE_TEST_SUITE_P(All, RpcStress, testing::ValuesIn(kSetups), SetupName);

struct Outcomes {
  int answered = 0;
  int failed = 0;
};

void ExpectExpected(const Error& error) {
  const bool expected = error.code() == Code::kDeadlineExceeded || error.code() == Code::kCanceled;
  EXPECT_TRUE(expected) << error.ToString();
}

Awaitable<void> EchoOnce(RpcFixture& t, std::string text, CallOptions options, Outcomes& outcomes) {
  auto response = co_await t.Echo(text, std::move(options));
  if (response) {
    ++outcomes.answered;
    EXPECT_EQ(response->value(), text);
  } else {
    ++outcomes.failed;
    ExpectExpected(response.error());
  }
}

// Reads `most` messages at most, then drops the call.
Awaitable<void> ReadPart(RpcFixture& t, int most, CallOptions options, Outcomes& outcomes) {
  auto call = t.channel_->StartCall(most % 2 == 0 ? kPour : kStream, std::move(options));
  StringValue request;
  request.set_value("30 20000");
  call->WriteLast(request);
  BytesValue message;
  for (int i = 0; i < most; ++i) {
    auto read = co_await call->Read(message);
    if (!read) {
      ++outcomes.failed;
      ExpectExpected(read.error());
      co_return;
    }
    if (!*read) break;
  }
  ++outcomes.answered;
}

Awaitable<void> Converse(RpcFixture& t, int turns, CallOptions options, Outcomes& outcomes) {
  auto call = t.channel_->StartCall(kChat, std::move(options));
  StringValue message;
  message.set_value(std::string(turns * 100, 'c'));
  for (int i = 0; i < turns; ++i) {
    auto written = co_await call->Write(message);
    StringValue answer;
    auto read = co_await call->Read(answer);
    if (!read) {
      ++outcomes.failed;
      ExpectExpected(read.error());
      co_return;
    }
    EXPECT_TRUE(*read);
    EXPECT_EQ(answer.value(), message.value());
  }
  if (turns % 3 == 0) {
    call->Cancel();
  } else if (turns % 3 == 1) {
    call->WritesDone();
    auto end = co_await call->Read(message);
    EXPECT_TRUE(!end || !*end);
  }
  ++outcomes.answered;
}

Awaitable<void> CallAtRandom(RpcFixture& t, unsigned seed, Deadline end, Outcomes& outcomes) {
  std::mt19937 random(seed);
  while (!end.Passed(t.clock().Now())) {
    CancelToken token;
    Timer cancel;
    CallOptions options;
    options.wait_for_ready = true;
    if (random() % 4 == 0) options.deadline = t.clock().After(std::chrono::microseconds(random() % 5000));
    if (random() % 4 == 0) {
      options.cancel = &token;
      cancel = t.clock().Schedule(std::chrono::microseconds(random() % 5000),
                                  [&token] { token.Cancel(CancelReason::kCancelled); });
    }
    const int size = static_cast<int>(random() % 40);
    switch (random() % 3) {
      case 0:
        co_await EchoOnce(t, std::string(size * size * size, 'e'), std::move(options), outcomes);
        break;
      case 1:
        co_await ReadPart(t, size, std::move(options), outcomes);
        break;
      default:
        co_await Converse(t, size, std::move(options), outcomes);
    }
  }
}

TEST_P(RpcStress, EveryCallEndsAsItShould) {
  server_options_.max_connection_age = 25ms;
  channel_options_.backoff_max = 2ms;
  Run([](RpcFixture& t) -> Awaitable<void> {
    Outcomes outcomes;
    TaskGroup tasks(t.reactor_->executor());
    const Deadline end = t.clock().After(400ms);
    for (unsigned seed = 0; seed < 30; ++seed) tasks.Spawn("caller", CallAtRandom(t, seed, end, outcomes));
    co_await tasks.Join();
    EXPECT_GT(outcomes.answered, 50);
    EXPECT_GT(outcomes.failed, 0);
  });
}

}  // namespace
}  // namespace multigres::rpc
