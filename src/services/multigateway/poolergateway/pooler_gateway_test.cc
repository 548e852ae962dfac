#include "services/multigateway/poolergateway/pooler_gateway.h"

#include <gtest/gtest.h>

#include "common/mterrors/conditions.h"
#include "common/rpc/server.h"
#include "multipoolerservice.pb.h"
#include "multipoolerservice.rpc.h"
#include "query.pb.h"

namespace multigres::gateway::poolergateway {
namespace {

using namespace std::chrono_literals;
using multipoolerservice::StreamExecuteRequest;
using multipoolerservice::StreamExecuteResponse;
using queryservice::ExecuteOutcome;

// A frozen leader: takes every statement and says nothing until its caller gives up.
class SilentPooler final : public multipoolerservice::rpc::MultiPoolerService {
 public:
  Awaitable<Result<>> StreamExecute(rpc::ServerContext& context, const StreamExecuteRequest&,
                                    rpc::ServerWriter<StreamExecuteResponse>&) override {
    ++taken;
    arrived.Pulse();
    Event cancelled;
    auto subscription = context.cancel().OnCancel([&cancelled](CancelReason) { cancelled.Set(); });
    co_await cancelled.Wait();
    co_return Fail(Code::kCanceled, "cancelled");
  }
  int taken = 0;
  Event arrived;
};

class NoSink final : public queryservice::ResultSink {
 public:
  Awaitable<Result<>> OnPayload(::query::QueryResultPayload&) override { co_return Result<>(); }
};

class PoolerGatewayTest : public testing::Test {
 public:
  PoolerGatewayTest()
      : server_(rpc::Server::Create({&reactor_})),
        gateway_(reactor_, {.load_balancer = {.local_cell = "zone1"}, .superseded_leader_grace = 50ms}) {
    server_->Register(silent_);
    gateway_.set_leader_listener([this](const ShardTarget& shard) { led_.push_back(std::string(shard.database)); });
  }

  void Run(Awaitable<void> (*test)(PoolerGatewayTest*)) {
    const auto whole = [](PoolerGatewayTest* t, Awaitable<void> (*test)(PoolerGatewayTest*)) -> Awaitable<void> {
      auto port = t->server_->Listen(TcpAddress{"127.0.0.1", 0});
      EXPECT_TRUE(port.has_value());
      for (const char* id : {"a", "b"}) {
        RoutingUpdate update{.kind = RoutingUpdate::Kind::kUpsert};
        update.record = {id, "zone1", "postgres", "default", "0-inf", fmt::format("127.0.0.1:{}", *port)};
        t->gateway_.Apply(update);
      }
      co_await test(t);
      co_await t->tasks_.Join();
      co_await t->gateway_.Stop();
      co_await t->server_->Stop(Deadline(t->reactor_.clock().Now()));
    };
    RunOnReactor(reactor_, whole(this, test));
  }
  void Say(const std::string& id, bool primary, std::int64_t term, Serving serving = Serving::kServing) {
    RoutingUpdate update{.kind = RoutingUpdate::Kind::kHealth};
    update.record.id = id;
    update.health = {.live = true, .serving = serving, .primary = primary, .rule = {term, 0}};
    gateway_.Apply(update);
  }
  static StreamExecuteRequest Statement(clustermetadata::PoolerType type) {
    StreamExecuteRequest request;
    request.mutable_target()->set_database("postgres");
    request.mutable_target()->set_table_group("default");
    request.mutable_target()->set_shard("0-inf");
    request.mutable_target()->set_pooler_type(type);
    return request;
  }
  struct Call {
    StreamExecuteRequest request;
    CancelToken* cancel = nullptr;
    std::optional<Result<>> result{};
    Event ended{};
  };
  static Awaitable<void> Execute(PoolerGatewayTest* t, const char* id, Call* call) {
    auto outcome =
        co_await t->gateway_.QueryServiceByID(id)->StreamExecute(call->request, {.cancel = call->cancel}, t->sink_);
    call->result = std::move(outcome.result);
    call->ended.Set();
  }
  Awaitable<void> Arrived(int count) {
    while (silent_.taken < count) {
      const bool came = co_await silent_.arrived.WaitUntil(reactor_.clock(), reactor_.clock().After(10s));
      EXPECT_TRUE(came);
      if (!came) co_return;
    }
  }
  Awaitable<bool> Ended(Call& call) {
    co_return co_await call.ended.WaitUntil(reactor_.clock(), reactor_.clock().After(10s));
  }

  Reactor reactor_;
  SilentPooler silent_;
  std::unique_ptr<rpc::Server> server_;
  PoolerGateway gateway_;
  std::vector<std::string> led_;
  NoSink sink_;
  TaskGroup tasks_{reactor_.executor()};
};

TEST_F(PoolerGatewayTest, AFrozenLeadersStatementsEndOnceAnotherLeads) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1);
    Call call{.request = Statement(clustermetadata::PRIMARY)};
    t->tasks_.Spawn("call", Execute(t, "a", &call));
    co_await t->Arrived(1);
    t->Say("b", true, 2);
    const TimePoint since = t->reactor_.clock().Now();
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_GE(t->reactor_.clock().Now() - since, 45ms);
    EXPECT_EQ(call.result->error().sqlstate(), mterrors::kOutcomeUnknown);
    EXPECT_EQ(call.result->error().execution(), Execution::kMayHaveExecuted);
  });
}

TEST_F(PoolerGatewayTest, WhatASupersededLeaderIsAskedLaterEndsToo) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1);
    t->Say("b", true, 2);
    Call call{.request = Statement(clustermetadata::PRIMARY)};
    t->tasks_.Spawn("call", Execute(t, "a", &call));
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_EQ(call.result->error().sqlstate(), mterrors::kOutcomeUnknown);
  });
}

TEST_F(PoolerGatewayTest, ReadsOnAStandbyAreNoneOfANewLeadersBusiness) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1);
    CancelToken token;
    Call read{.request = Statement(clustermetadata::REPLICA), .cancel = &token};
    Call write{.request = Statement(clustermetadata::PRIMARY)};
    t->tasks_.Spawn("read", Execute(t, "a", &read));
    t->tasks_.Spawn("write", Execute(t, "a", &write));
    co_await t->Arrived(2);
    t->Say("b", true, 2);
    EXPECT_TRUE(co_await t->Ended(write));
    // Whoever was to end has ended.
    Call later{.request = Statement(clustermetadata::PRIMARY)};
    t->tasks_.Spawn("later", Execute(t, "a", &later));
    EXPECT_TRUE(co_await t->Ended(later));
    EXPECT_FALSE(read.result);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_TRUE(co_await t->Ended(read));
  });
}

TEST_F(PoolerGatewayTest, AFailedStreamAloneEndsNothing) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1);
    CancelToken token;
    Call call{.request = Statement(clustermetadata::PRIMARY), .cancel = &token};
    t->tasks_.Spawn("call", Execute(t, "a", &call));
    co_await t->Arrived(1);
    t->Say("a", false, 1);
    t->Say("b", false, 1);
    co_await SleepFor(t->reactor_.clock(), 150ms);
    EXPECT_FALSE(call.result);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_EQ(call.result->error().sqlstate(), "57014");
  });
}

TEST_F(PoolerGatewayTest, TellsOfALeaderOnlyByItsOwnWord) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1, Serving::kDraining);
    EXPECT_TRUE(t->led_.empty());
    t->Say("a", true, 1);
    EXPECT_EQ(t->led_.size(), 1U);
    t->Say("b", false, 1);
    EXPECT_EQ(t->led_.size(), 1U);
    t->Say("b", true, 2);
    EXPECT_EQ(t->led_.size(), 2U);
    // The old one's claim doesn't count any more.
    t->Say("a", true, 1);
    EXPECT_EQ(t->led_.size(), 2U);
    co_return;
  });
}

}  // namespace
}  // namespace multigres::gateway::poolergateway
