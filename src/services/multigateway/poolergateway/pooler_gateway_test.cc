#include "services/multigateway/poolergateway/pooler_gateway.h"

#include <gtest/gtest.h>

#include "common/mterrors/conditions.h"
#include "common/rpc/server.h"
#include "multipoolerservice.pb.h"
#include "multipoolerservice.rpc.h"
#include "query.pb.h"
#include "statementcontrol.pb.h"
#include "statementcontrol.rpc.h"

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
    auto subscription = context.cancel().OnCancel([this](CancelReason) { interrupted.Pulse(); });
    while (!told && !context.cancel().IsCancelled()) co_await interrupted.Wait();
    if (told && completes_when_told) co_return Result<>();
    co_return Fail(Code::kCanceled, "cancelled");
  }
  int taken = 0;
  Event arrived;
  bool told = false;  // that its statement is to be cancelled
  bool completes_when_told = false;
  Event interrupted;
};

class Control final : public statementcontrol::rpc::StatementControl {
 public:
  explicit Control(SilentPooler& pooler) : pooler_(pooler) {}
  Awaitable<Result<statementcontrol::CancelStatementResponse>> CancelStatement(
      rpc::ServerContext&, const statementcontrol::CancelStatementRequest& request) override {
    requests.push_back(request);
    if (!frozen) {
      pooler_.told = true;
      pooler_.interrupted.Pulse();
    }
    co_return statementcontrol::CancelStatementResponse();
  }
  std::vector<statementcontrol::CancelStatementRequest> requests;
  bool frozen = false;

 private:
  SilentPooler& pooler_;
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
    server_->Register(control_);
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
    request.mutable_options()->set_client_connection_id(7);
    return request;
  }
  struct Call {
    StreamExecuteRequest request;
    CancelToken* cancel = nullptr;
    Deadline deadline{};
    std::optional<Result<>> result{};
    Event ended{};
  };
  static Awaitable<void> Execute(PoolerGatewayTest* t, const char* id, Call* call) {
    auto outcome = co_await t->gateway_.QueryServiceByID(id)->StreamExecute(call->request,
                                                                            {call->deadline, call->cancel}, t->sink_);
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
  Control control_{silent_};
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

TEST_F(PoolerGatewayTest, ACancelledStatementsAnswerStillComes) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->silent_.completes_when_told = true;
    CancelToken token;
    Call call{.request = Statement(clustermetadata::PRIMARY), .cancel = &token};
    t->tasks_.Spawn("call", Execute(t, "a", &call));
    co_await t->Arrived(1);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_TRUE(call.result->has_value());
    EXPECT_EQ(t->control_.requests.size(), 1U);
    if (t->control_.requests.empty()) co_return;
    EXPECT_EQ(t->control_.requests[0].client_connection_id(), 7U);
    EXPECT_FALSE(t->control_.requests[0].timed_out());
  });
}

TEST_F(PoolerGatewayTest, AStatementTimeoutIsToldAsSuch) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    Call call{.request = Statement(clustermetadata::PRIMARY), .deadline = t->reactor_.clock().After(50ms)};
    t->tasks_.Spawn("call", Execute(t, "a", &call));
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_EQ(call.result->error().message(), "canceling statement due to statement timeout");
    EXPECT_EQ(t->control_.requests.size(), 1U);
    if (!t->control_.requests.empty()) EXPECT_TRUE(t->control_.requests[0].timed_out());
  });
}

TEST_F(PoolerGatewayTest, AStatementThatCannotBeCancelledInTimeHasAnUnknownOutcome) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->control_.frozen = true;
    CancelToken token;
    Call call{.request = Statement(clustermetadata::PRIMARY), .cancel = &token};
    t->tasks_.Spawn("call", Execute(t, "a", &call));
    co_await t->Arrived(1);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_EQ(call.result->error().sqlstate(), mterrors::kOutcomeUnknown);
  });
}

TEST_F(PoolerGatewayTest, AProcessThatLeavesDoesNotWaitForAnswers) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    CancelToken token;
    Call call{.request = Statement(clustermetadata::PRIMARY), .cancel = &token};
    t->tasks_.Spawn("call", Execute(t, "a", &call));
    co_await t->Arrived(1);
    token.Cancel(CancelReason::kShutdown);
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_EQ(call.result->error().sqlstate(), "57014");
    EXPECT_TRUE(t->control_.requests.empty());
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
