#include "services/multigateway/poolergateway/pooler_gateway.h"

#include <gtest/gtest.h>

#include "common/mterrors/conditions.h"
#include "common/mterrors/wire.h"
#include "common/rpc/server.h"
#include "multipoolerservice.pb.h"
#include "multipoolerservice.rpc.h"
#include "query.pb.h"
#include "statementcontrol.pb.h"
#include "statementcontrol.rpc.h"

namespace multigres::gateway::poolergateway {
namespace {

using namespace std::chrono_literals;
using multipoolerservice::CopyBidiExecuteRequest;
using multipoolerservice::CopyBidiExecuteResponse;
using multipoolerservice::StreamExecuteRequest;
using multipoolerservice::StreamExecuteResponse;
using queryservice::ExecuteOutcome;

// A frozen leader: takes every statement and says nothing until its caller gives up, or has it cancelled.
class SilentPooler final : public multipoolerservice::rpc::MultiPoolerService {
 public:
  Awaitable<Result<>> StreamExecute(rpc::ServerContext& context, const StreamExecuteRequest&,
                                    rpc::ServerWriter<StreamExecuteResponse>&) override {
    Took();
    co_await ToldOrGivenUp(context);
    if (told && completes_when_told) co_return Result<>();
    co_return Fail(Code::kCanceled, "cancelled");
  }
  // It is committing when it is told.
  Awaitable<Result<>> CopyBidiExecute(
      rpc::ServerContext& context,
      rpc::ServerStream<CopyBidiExecuteRequest, CopyBidiExecuteResponse>& stream) override {
    CopyBidiExecuteRequest message;
    do {
      auto read = co_await stream.Read(message);
      if (!read || !*read) co_return Fail(Code::kCanceled, "cut off");
      Took();
    } while (message.direction() == CopyBidiExecuteRequest::FROM_STDIN &&
             message.phase() != CopyBidiExecuteRequest::DONE);
    co_await ToldOrGivenUp(context);
    co_return std::unexpected(mterrors::ToWire(mterrors::OutcomeUnknown(kAnswer)));
  }

  static constexpr std::string_view kAnswer = "the wait for synchronous replication was cancelled";
  int taken = 0;  // messages
  Event arrived;
  bool told = false;  // that its statement is to be cancelled
  bool completes_when_told = false;
  Event interrupted;

 private:
  void Took() {
    ++taken;
    arrived.Pulse();
  }
  Awaitable<void> ToldOrGivenUp(rpc::ServerContext& context) {
    auto subscription = context.cancel().OnCancel([this](CancelReason) { interrupted.Pulse(); });
    while (!told && !context.cancel().IsCancelled()) co_await interrupted.Wait();
  }
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
      for (const auto& [id, database] :
           {std::pair("a", "postgres"), {"b", "postgres"}, {"c", "other"}, {"d", "other"}}) {
        RoutingUpdate update{.kind = RoutingUpdate::Kind::kUpsert};
        update.record = {id, "zone1", database, "default", "0-inf", fmt::format("127.0.0.1:{}", *port)};
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
    StreamExecuteRequest request = Statement(clustermetadata::PRIMARY);
    CancelToken* cancel = nullptr;
    Deadline deadline;
    std::optional<Result<>> result;
    Event ended{};  // NOLINT(readability-redundant-member-init): Event has no implicit constructor
  };
  static Awaitable<void> Execute(PoolerGatewayTest* t, const char* id, Call* call) {
    auto outcome = co_await t->gateway_.QueryServiceByID(id)->StreamExecute(call->request,
                                                                            {call->deadline, call->cancel}, t->sink_);
    call->result = std::move(outcome.result);
    call->ended.Set();
  }
  static Awaitable<void> ExecuteCopy(PoolerGatewayTest* t, CopyBidiExecuteRequest::Direction direction, bool done,
                                     Call* call) {
    CopyBidiExecuteRequest message;
    message.set_direction(direction);
    *message.mutable_target() = call->request.target();
    *message.mutable_options() = call->request.options();
    auto copy = co_await t->gateway_.QueryServiceByID("a")->CopyBidiExecute(message, {call->deadline, call->cancel});
    EXPECT_TRUE(copy.has_value());
    if (!copy) co_return;
    message.set_phase(CopyBidiExecuteRequest::DONE);
    if (done) EXPECT_TRUE((co_await (*copy)->Send(message)).has_value());
    CopyBidiExecuteResponse answer;
    auto received = co_await (*copy)->Receive(answer);
    call->result = received ? Result<>() : std::unexpected(std::move(received.error()));
    call->ended.Set();
  }
  void Start(const char* id, Call& call) { tasks_.Spawn("call", Execute(this, id, &call)); }
  // Returns once the pooler has it.
  Awaitable<void> Begin(const char* id, Call& call) {
    const int before = silent_.taken;
    Start(id, call);
    co_await Arrived(before + 1);
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
  Awaitable<Error> Failure(Call& call) {
    const bool ended = co_await Ended(call);
    EXPECT_TRUE(ended);
    if (!ended) co_return Error(Code::kUnknown, "the call hangs");
    EXPECT_FALSE(call.result->has_value());
    co_return *call.result ? Error(Code::kUnknown, "the call has succeeded") : call.result->error();
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
    Call call;
    co_await t->Begin("a", call);
    t->Say("b", true, 2);
    const TimePoint since = t->reactor_.clock().Now();
    const Error error = co_await t->Failure(call);
    EXPECT_GE(t->reactor_.clock().Now() - since, 45ms);
    EXPECT_EQ(error.sqlstate(), mterrors::kOutcomeUnknown);
    EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
  });
}

TEST_F(PoolerGatewayTest, WhatASupersededLeaderIsAskedLaterEndsToo) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1);
    t->Say("b", true, 2);
    Call call;
    t->Start("a", call);
    EXPECT_EQ((co_await t->Failure(call)).sqlstate(), mterrors::kOutcomeUnknown);
  });
}

TEST_F(PoolerGatewayTest, ReadsOnAStandbyAreNoneOfANewLeadersBusiness) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1);
    CancelToken token;
    Call read{.request = Statement(clustermetadata::REPLICA), .cancel = &token};
    Call write;
    co_await t->Begin("a", read);
    co_await t->Begin("a", write);
    t->Say("b", true, 2);
    EXPECT_TRUE(co_await t->Ended(write));
    // Whoever was to end has ended.
    Call later;
    t->Start("a", later);
    EXPECT_TRUE(co_await t->Ended(later));
    EXPECT_FALSE(read.result);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_TRUE(co_await t->Ended(read));
  });
}

TEST_F(PoolerGatewayTest, AFailedStreamAloneEndsNothing) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->Say("a", true, 1);
    t->Say("c", true, 1);
    CancelToken token;
    Call call{.cancel = &token};
    Call elsewhere;
    co_await t->Begin("a", call);
    co_await t->Begin("c", elsewhere);
    t->Say("a", false, 1);
    t->Say("b", false, 1);
    // What begins to be given up only now has been given up: what was before, too.
    t->Say("d", true, 2);
    EXPECT_TRUE(co_await t->Ended(elsewhere));
    EXPECT_FALSE(call.result);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_EQ((co_await t->Failure(call)).sqlstate(), "57014");
  });
}

TEST_F(PoolerGatewayTest, ACancelledStatementsAnswerStillComes) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->silent_.completes_when_told = true;
    CancelToken token;
    Call call{.cancel = &token};
    co_await t->Begin("a", call);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_TRUE(co_await t->Ended(call));
    EXPECT_TRUE(call.result->has_value());
    EXPECT_EQ(t->control_.requests.size(), 1U);
    if (t->control_.requests.empty()) co_return;
    EXPECT_EQ(t->control_.requests[0].client_connection_id(), 7U);
    EXPECT_FALSE(t->control_.requests[0].timed_out());
  });
}

TEST_F(PoolerGatewayTest, ACopyThatMayBeCommittingAwaitsItsAnswer) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    for (const auto direction : {CopyBidiExecuteRequest::FROM_STDIN, CopyBidiExecuteRequest::TO_STDOUT}) {
      t->silent_.told = false;
      const bool has_end = direction == CopyBidiExecuteRequest::FROM_STDIN;
      const int before = t->silent_.taken;
      CancelToken token;
      Call call{.cancel = &token};
      t->tasks_.Spawn("copy", ExecuteCopy(t, direction, has_end, &call));
      co_await t->Arrived(before + (has_end ? 2 : 1));
      token.Cancel(CancelReason::kCancelled);
      const Error error = co_await t->Failure(call);
      EXPECT_EQ(error.sqlstate(), mterrors::kOutcomeUnknown);
      EXPECT_TRUE(error.message().starts_with(SilentPooler::kAnswer)) << error.message();
    }
    EXPECT_EQ(t->control_.requests.size(), 2U);
  });
}

TEST_F(PoolerGatewayTest, ACopyThatHasNotBeenToldOfItsEndIsCutOffAtOnce) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    CancelToken token;
    Call call{.cancel = &token};
    t->tasks_.Spawn("copy", ExecuteCopy(t, CopyBidiExecuteRequest::FROM_STDIN, false, &call));
    co_await t->Arrived(1);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_EQ((co_await t->Failure(call)).sqlstate(), "57014");
    EXPECT_TRUE(t->control_.requests.empty());
  });
}

TEST_F(PoolerGatewayTest, AStatementTimeoutIsToldAsSuch) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    Call call{.deadline = t->reactor_.clock().After(50ms)};
    t->Start("a", call);
    EXPECT_EQ((co_await t->Failure(call)).message(), "canceling statement due to statement timeout");
    EXPECT_EQ(t->control_.requests.size(), 1U);
    if (!t->control_.requests.empty()) EXPECT_TRUE(t->control_.requests[0].timed_out());
  });
}

TEST_F(PoolerGatewayTest, AStatementThatCannotBeCancelledInTimeHasAnUnknownOutcome) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    t->control_.frozen = true;
    CancelToken token;
    Call call{.cancel = &token};
    co_await t->Begin("a", call);
    token.Cancel(CancelReason::kCancelled);
    EXPECT_EQ((co_await t->Failure(call)).sqlstate(), mterrors::kOutcomeUnknown);
  });
}

TEST_F(PoolerGatewayTest, AProcessThatLeavesDoesNotWaitForAnswersNorCallsWhatItCutOffCancelled) {
  Run([](PoolerGatewayTest* t) -> Awaitable<void> {
    CancelToken token;
    Call call{.cancel = &token};
    co_await t->Begin("a", call);
    token.Cancel(CancelReason::kShutdown);
    EXPECT_EQ((co_await t->Failure(call)).sqlstate(), mterrors::kOutcomeUnknown);
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
