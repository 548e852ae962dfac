#include "services/multigateway/buffer/attempts.h"

#include <gtest/gtest.h>

#include "common/mterrors/conditions.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::gateway::buffer {
namespace {

using namespace std::chrono_literals;
using queryservice::CallScope;

constexpr std::string_view kShard = "default/0-inf/postgres";

Error NotSent() {
  return mterrors::TemporarilyUnavailable();
}

Error Lost() {
  return {Code::kUnavailable, "connection reset"};
}

Error ReadOnly() {
  return Error::FromDiagnostic({.severity = "ERROR", .code = "25006", .message = "cannot execute INSERT"},
                               Code::kReadOnly);
}

// One request: fails with the errors in turn, then succeeds.
struct Request {
  std::vector<Error> errors;
  RequestTraits traits{.database = "postgres", .table_group = "default", .shard = "0-inf"};
  CallScope scope;
  std::function<bool()> client_gone;
  bool delivered = false;
  bool read_only_is_safe = true;
  int tries = 0;
  std::optional<Error> failed;
  bool ended = false;
};

class AttemptsTest : public testing::Test {
 public:
  void Run(Awaitable<void> test) { RunOnReactor(reactor_, std::move(test)); }
  void Make(BufferConfig config) {
    capacity_ = std::make_unique<BufferCapacity>(config.size);
    buffer_ =
        std::make_unique<FailoverBuffer>(clock_, config, *capacity_, &metrics_, [](std::string_view) { return false; });
  }
  void SetUp() override { Make({}); }

  static Awaitable<void> Settle() {
    for (int i = 0; i < 20; i++) co_await asio::post(co_await asio::this_coro::executor, kAwait);
  }
  Awaitable<void> Pass(Duration duration) {
    co_await Settle();
    clock_.Advance(duration);
    co_await Settle();
  }
  static Awaitable<void> Serve(AttemptsTest* t, Request* request) {
    Attempts attempts(*t->buffer_, t->clock_, request->traits, request->scope, request->client_gone);
    if (attempts.MustWaitFirst()) {
      auto waited = co_await attempts.Begin();
      if (!waited) request->failed = std::move(waited.error());
    }
    while (!request->failed) {
      const auto at = static_cast<std::size_t>(request->tries++);
      if (at >= request->errors.size()) break;
      Error error = request->errors[at];
      const bool again =
          co_await attempts.Again(error, request->delivered, [request] { return request->read_only_is_safe; });
      if (!again) request->failed = std::move(error);
    }
    request->ended = true;
  }
  void Start(Request& request) { tasks_.Spawn("request", Serve(this, &request)); }
  Awaitable<void> Leader() {
    buffer_->LeaderServes(kShard);
    co_await Settle();
  }
  static std::string StateOf(const Request& request) {
    if (!request.ended) return "waits";
    return request.failed ? request.failed->sqlstate() : "done";
  }

  Reactor reactor_;
  VirtualClock clock_;
  Metrics registry_;
  BufferMetrics metrics_{registry_};
  std::unique_ptr<BufferCapacity> capacity_;
  std::unique_ptr<FailoverBuffer> buffer_;
  TaskGroup tasks_{reactor_.executor()};
};

TEST_F(AttemptsTest, RetriesOnTheNewLeaderWhatProvablyDidNotRun) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request no_leader{.errors = {mterrors::NoWritablePrimary()}};
    Request draining{.errors = {mterrors::PlannedFailover()}};
    Request not_sent{.errors = {NotSent()}};
    for (Request* each : {&no_leader, &draining, &not_sent}) t->Start(*each);
    co_await t->Pass(5s);
    for (Request* each : {&no_leader, &draining, &not_sent}) EXPECT_EQ(StateOf(*each), "waits");
    co_await t->Leader();
    for (Request* each : {&no_leader, &draining, &not_sent}) {
      EXPECT_EQ(StateOf(*each), "done");
      EXPECT_EQ(each->tries, 2);
    }
    EXPECT_EQ(t->capacity_->taken(), 0U);
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, NeverRepeatsAStatementWhoseOutcomeIsUnknown) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Error terminated = Error::FromDiagnostic({.severity = "FATAL", .code = "57P01", .message = "terminating"});
    Error unproven(Code::kPreExecutionUnavailable, "57P03", "says so, proves nothing");
    for (const Error& error : {Lost(), mterrors::OutcomeUnknown(), terminated, unproven}) {
      Request request{.errors = {error}};
      t->Start(request);
      co_await Settle();
      EXPECT_TRUE(request.failed) << error.ToString();
      EXPECT_EQ(request.tries, 1);
      EXPECT_EQ(StateOf(request), error.sqlstate());
    }
    EXPECT_TRUE(t->buffer_->idle());
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, LeavesOrdinaryErrorsAlone) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Error refused = Error::FromDiagnostic({.severity = "FATAL", .code = "28P01", .message = "password"})
                        .WithExecution(Execution::kDidNotExecute);
    Error division = Error::FromDiagnostic({.severity = "ERROR", .code = "22012", .message = "division by zero"})
                         .WithExecution(Execution::kExecuted);
    for (const Error& error : {refused, division}) {
      Request request{.errors = {error}};
      t->Start(request);
      co_await Settle();
      EXPECT_EQ(StateOf(request), error.sqlstate());
    }
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, NeverRepeatsWhatItsClientHasSeenAPartOf) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request request{.errors = {NotSent()}, .delivered = true};
    t->Start(request);
    co_await Settle();
    EXPECT_EQ(StateOf(request), "57P03");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, ALostDescribeIsRepeatedAndSoIsALostFirstStatementOfABlock) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request describe{.errors = {Lost()}};
    describe.traits.replay = Replay::kAlways;
    Request first{.errors = {Lost()}};
    first.traits.replay = Replay::kIfUncommitted;
    Request terminated{.errors = {Error::FromDiagnostic({.severity = "FATAL", .code = "57P01", .message = "x"})}};
    terminated.traits.replay = Replay::kIfUncommitted;
    for (Request* each : {&describe, &first, &terminated}) t->Start(*each);
    co_await Settle();
    EXPECT_EQ(StateOf(terminated), "57P01");
    co_await t->Leader();
    EXPECT_EQ(StateOf(describe), "done");
    EXPECT_EQ(StateOf(first), "done");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, RepeatsAWriteThatAStandbyRefusedOnlyIfThatIsSafe) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request safe{.errors = {ReadOnly()}};
    Request wanted{.errors = {ReadOnly()}, .read_only_is_safe = false};
    Request replica{.errors = {ReadOnly()}};
    replica.traits.primary = false;
    for (Request* each : {&safe, &wanted, &replica}) t->Start(*each);
    co_await Settle();
    EXPECT_EQ(StateOf(wanted), "25006");
    EXPECT_EQ(StateOf(replica), "25006");
    co_await t->Leader();
    EXPECT_EQ(StateOf(safe), "done");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, WhatNeverReachesItsPoolerIsTriedFiveTimesMoreAfterItsWait) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request request{.errors = {9, NotSent()}};
    t->Start(request);
    co_await t->Pass(1s);
    EXPECT_EQ(request.tries, 1);
    co_await t->Leader();
    EXPECT_EQ(request.tries, 2);
    for (const Duration pause : {100ms, 200ms, 400ms, 800ms, 1600ms}) {
      const int before = request.tries;
      co_await t->Pass(pause - 1ms);
      EXPECT_EQ(request.tries, before);
      EXPECT_EQ(StateOf(request), "waits");
      co_await t->Pass(1ms);
      EXPECT_EQ(request.tries, before + 1);
    }
    EXPECT_EQ(StateOf(request), "57P03");
    EXPECT_EQ(t->metrics_.buffered.Value(), 1U);
    co_await t->tasks_.Join();
  }(this));
}

// The old leader's last word may come after its server is gone, and the next leader may take its time.
TEST_F(AttemptsTest, WaitsOnIfTheLeaderThatEndedItsWaitIsNone) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    for (const Error& error : {mterrors::PlannedFailover(), mterrors::NoWritablePrimary()}) {
      Request request{.errors = {9, error}};
      t->Start(request);
      for (int word = 0; word < 9; ++word) {
        co_await t->Pass(1s);
        EXPECT_EQ(StateOf(request), "waits");
        EXPECT_EQ(request.tries, word + 1);
        co_await t->Leader();
      }
      EXPECT_EQ(StateOf(request), "done");
      EXPECT_EQ(t->capacity_->taken(), 0U);
    }
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, AllWaitsOfARequestShareOneWindow) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request request{.errors = {100, mterrors::PlannedFailover()}};
    t->Start(request);
    for (int word = 0; word < 9; ++word) {
      co_await t->Pass(1s);
      co_await t->Leader();
    }
    EXPECT_EQ(StateOf(request), "waits");
    co_await t->Pass(1s);
    EXPECT_EQ(StateOf(request), "MTB02");
    EXPECT_EQ(t->capacity_->taken(), 0U);
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, ARequestThatReservesJoinsABufferingShardAndASingleStatementGoesThrough) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request trigger{.errors = {mterrors::PlannedFailover()}};
    t->Start(trigger);
    co_await Settle();
    Request reserves{.errors = {}};
    reserves.traits.reserves = true;
    Request single{.errors = {}};
    t->Start(reserves);
    t->Start(single);
    co_await Settle();
    EXPECT_EQ(StateOf(single), "done");
    EXPECT_EQ(StateOf(reserves), "waits");
    EXPECT_EQ(reserves.tries, 0);
    co_await t->Leader();
    EXPECT_EQ(StateOf(reserves), "done");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, WorkOnAReservedBackendIsNeverBuffered) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request unsent{.errors = {NotSent()}};
    Request lost{.errors = {Lost()}};
    Request draining{.errors = {mterrors::PlannedFailover()}};
    for (Request* each : {&unsent, &lost, &draining}) {
      each->traits.replay = Replay::kIfUnsent;
      t->Start(*each);
    }
    co_await Settle();
    EXPECT_EQ(StateOf(lost), "");
    EXPECT_EQ(StateOf(draining), "MTF01");
    EXPECT_TRUE(t->buffer_->idle());
    co_await t->Pass(150ms);
    EXPECT_EQ(StateOf(unsent), "done");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, AReplicaIsTriedAgainWithoutTheBuffer) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request request{.errors = {NotSent()}};
    request.traits.primary = false;
    t->Start(request);
    co_await Settle();
    EXPECT_TRUE(t->buffer_->idle());
    co_await t->Pass(150ms);
    EXPECT_EQ(StateOf(request), "done");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, ACancelEndsAWaitAtOnce) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    CancelToken token;
    Request request{.errors = {NotSent()}, .scope = {.cancel = &token}};
    t->Start(request);
    co_await Settle();
    token.Cancel(CancelReason::kCancelled);
    co_await Settle();
    EXPECT_EQ(StateOf(request), "57014");
    EXPECT_EQ(request.failed->message(), "canceling statement due to user request");
    EXPECT_EQ(t->capacity_->taken(), 0U);
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, AStatementTimeoutEndsAWaitAtOnce) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request request{.errors = {NotSent()}, .scope = {.deadline = t->clock_.After(3s)}};
    t->Start(request);
    co_await t->Pass(2900ms);
    EXPECT_EQ(StateOf(request), "waits");
    co_await t->Pass(200ms);
    EXPECT_EQ(StateOf(request), "57014");
    EXPECT_EQ(request.failed->message(), "canceling statement due to statement timeout");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, ARequestWhoseClientIsGoneLeaves) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    bool gone = false;
    Request request{.errors = {NotSent()}, .client_gone = [&gone] { return gone; }};
    t->Start(request);
    co_await t->Pass(1s);
    EXPECT_EQ(StateOf(request), "waits");
    gone = true;
    co_await t->Pass(300ms);
    EXPECT_EQ(StateOf(request), "08006");
    EXPECT_EQ(t->capacity_->taken(), 0U);
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, TheBuffersOwnEndsAreErrorsOfTheirOwn) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    t->Make({.size = 1});
    Request evicted{.errors = {NotSent()}};
    Request second{.errors = {NotSent()}};
    t->Start(evicted);
    co_await Settle();
    t->Start(second);
    co_await Settle();
    EXPECT_EQ(StateOf(evicted), "MTB01");
    EXPECT_EQ(evicted.failed->message(), "failover buffer full");
    co_await t->Pass(10s);
    EXPECT_EQ(StateOf(second), "MTB02");
    EXPECT_EQ(second.failed->message(), "failover buffer timeout");
    Request third{.errors = {NotSent()}};
    t->Start(third);
    co_await Settle();
    t->buffer_->ShutDown();
    co_await Settle();
    EXPECT_EQ(StateOf(third), "MTB03");
    EXPECT_EQ(third.failed->message(), "failover buffer shutting down");
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, WithoutABufferTheErrorIsTheClientsAtOnce) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    t->Make({.enabled = false});
    Request request{.errors = {mterrors::PlannedFailover()}};
    t->Start(request);
    co_await Settle();
    EXPECT_EQ(StateOf(request), "MTF01");
    EXPECT_EQ(t->metrics_.failed_unbuffered.Value(), 1U);
    co_await t->tasks_.Join();
  }(this));
}

TEST_F(AttemptsTest, DrainsOneRetryAfterTheOther) {
  Run([](AttemptsTest* t) -> Awaitable<void> {
    Request slow{.errors = {NotSent(), NotSent()}};
    Request next{.errors = {NotSent()}};
    t->Start(slow);
    t->Start(next);
    co_await t->Leader();
    // The first one's retry has failed and ended its turn; it pauses outside of the drain.
    EXPECT_EQ(StateOf(slow), "waits");
    EXPECT_EQ(StateOf(next), "done");
    EXPECT_TRUE(t->buffer_->idle());
    co_await t->Pass(150ms);
    EXPECT_EQ(StateOf(slow), "done");
    co_await t->tasks_.Join();
  }(this));
}

}  // namespace
}  // namespace multigres::gateway::buffer
