// What a client sees of a failover, statement by statement.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/mterrors/conditions.h"
#include "query.pb.h"
#include "services/multigateway/buffer/attempts.h"
#include "services/multigateway/executor/executor.h"
#include "services/multigateway/executor/fake_pooler.h"
#include "services/multigateway/scatterconn/scatter_conn.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::gateway::executor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kShard = "default/0-inf/postgres";

class QuietSink final : public engine::ClientSink {
 public:
  void RowDescription(const engine::Fields&) override {}
  void NoData() override {}
  void DataRows(std::string&&, std::uint32_t, bool) override {}
  void CommandComplete(std::string_view tag) override { tags.emplace_back(tag); }
  void EmptyQuery() override {}
  void PortalSuspended() override {}
  void Notice(const PgDiagnostic&) override {}
  void CopyInResponse(std::int32_t, std::span<const std::int32_t>) override {}
  void CopyOutResponse(std::int32_t, std::span<const std::int32_t>) override {}
  void CopyData(std::string&&) override {}
  void CopyDone() override {}
  Awaitable<Result<engine::CopyInput>> ReadCopyInput() override {
    if (copy_input.empty()) co_return engine::CopyInput{engine::CopyInput::Kind::kDone, {}};
    co_return engine::CopyInput{engine::CopyInput::Kind::kData, std::exchange(copy_input, {})};
  }
  bool Overfull() const override { return false; }
  Awaitable<Result<>> Flush() override { co_return Result<>(); }
  std::vector<std::string> tags;
  std::string copy_input;
};

Error NotSent() {
  return mterrors::TemporarilyUnavailable();
}

Error Lost() {
  return {Code::kUnavailable, "connection reset"};
}

Error RefusedByStandby() {
  return Error::FromDiagnostic({.severity = "ERROR", .code = "25006", .message = "cannot execute INSERT"},
                               Code::kReadOnly);
}

class FailoverTest : public testing::Test {
 public:
  FailoverTest() { NewSession({}); }
  void NewSession(std::vector<session::Settings::Entry> startup, bool replica = false) {
    session::Identity identity;
    identity.user = "u";
    identity.database = "postgres";
    identity.target_replica = replica;
    session_.emplace(std::move(identity), session::Settings::Make(std::move(startup)), session::GatewayVariables(),
                     session::ReportedParameters({{"standard_conforming_strings", "on"}}));
  }

  // "C(tag)" or "E(sqlstate)", and the status byte. A new leader comes up while the call waits for one.
  std::string Do(std::function<Awaitable<Result<>>(CancelToken&)> call) {
    std::string seen;
    Reactor reactor;
    CancelToken cancel;
    const auto serve = [](FailoverTest* t, std::function<Awaitable<Result<>>(CancelToken&)> call, CancelToken* cancel,
                          std::string* seen) -> Awaitable<void> {
      t->sink_.tags.clear();
      auto ran = co_await call(*cancel);
      std::string tags;
      for (const std::string& tag : t->sink_.tags) tags += fmt::format("C({}) ", tag);
      *seen = fmt::format("{}{}{}", tags, ran ? "" : fmt::format("E({}) ", ran.error().sqlstate()),
                          t->session_->status_byte());
    };
    const auto whole = [](FailoverTest* t, Reactor* reactor, Awaitable<void> served, std::string* seen,
                          CancelToken* cancel) -> Awaitable<void> {
      TaskGroup tasks(reactor->executor());
      tasks.Spawn("call", std::move(served));
      for (int turn = 0; turn < 200 && seen->empty(); ++turn) {
        co_await asio::post(co_await asio::this_coro::executor, kAwait);
        if (turn % 20 != 19) continue;
        if (t->cancel_while_waiting_ && !t->buffer_.idle()) cancel->Cancel(CancelReason::kCancelled);
        if (!t->buffer_.idle()) ++t->waits_;
        t->buffer_.LeaderServes(kShard);
        t->clock_.Advance(std::chrono::milliseconds(500));
      }
      EXPECT_FALSE(seen->empty()) << "the call hangs";
      co_await tasks.Join();
    };
    RunOnReactor(reactor, whole(this, &reactor, serve(this, std::move(call), &cancel, &seen), &seen, &cancel));
    return seen;
  }
  std::string Query(std::string sql) {
    return Do([this, sql](CancelToken& cancel) { return executor_.StreamExecute(*session_, sql, cancel, sink_); });
  }
  std::vector<std::string> Log() { return pooler_.TakeLog(); }

  VirtualClock clock_;
  FakePooler pooler_;
  buffer::BufferCapacity capacity_{10};
  buffer::FailoverBuffer buffer_{clock_, {}, capacity_, nullptr, [](std::string_view) { return false; }};
  scatterconn::ScatterConn scatter_{pooler_, buffer_, clock_};
  Executor executor_{scatter_, clock_, 1 << 20};
  std::optional<session::Session> session_;
  QuietSink sink_;
  bool cancel_while_waiting_ = false;
  int waits_ = 0;
};

TEST_F(FailoverTest, AStatementThatDidNotRunRunsOnTheNewLeader) {
  pooler_.failures = {mterrors::PlannedFailover()};
  EXPECT_EQ(Query("insert into t values (1)"), "C(SELECT 1) I");
  EXPECT_THAT(Log(), ElementsAre("query 'insert into t values (1)'", "query 'insert into t values (1)'"));
  EXPECT_EQ(waits_, 1);
}

TEST_F(FailoverTest, AStatementWhoseOutcomeIsUnknownIsNotRunAgain) {
  pooler_.failures = {Lost()};
  EXPECT_EQ(Query("insert into t values (1)"), "E(08007) I");
  EXPECT_THAT(Log(), ElementsAre("query 'insert into t values (1)'"));
  EXPECT_EQ(Query("select 1"), "C(SELECT 1) I");
}

// Nothing proves that it only read: a function may write, and READ ONLY forbids neither notifications nor functions
// that do something elsewhere (docs/adr/0007).
TEST_F(FailoverTest, ALostReadIsNotRepeatedUnlessATransactionShieldsIt) {
  NewSession({{"default_transaction_read_only", "on"}});
  pooler_.failures = {Lost()};
  EXPECT_EQ(Query("select 1"), "E(08007) I");
  EXPECT_EQ(Log().size(), 1U);
  Query("begin");
  pooler_.failures = {Lost()};
  EXPECT_EQ(Query("select 1"), "C(SELECT 1) T");
  EXPECT_EQ(Log().size(), 2U);
}

TEST_F(FailoverTest, TheServersOwnWordOnALostBackendReachesTheClient) {
  pooler_.failures = {Error::FromDiagnostic(
      {.severity = "FATAL", .code = "57P01", .message = "terminating connection due to administrator command"})};
  EXPECT_EQ(Query("insert into t values (1)"), "E(57P01) I");
  EXPECT_THAT(Log(), ElementsAre("query 'insert into t values (1)'"));
}

TEST_F(FailoverTest, ALostFirstStatementOfABlockGoesOutAgainWithItsBegin) {
  EXPECT_EQ(Query("begin isolation level serializable"), "C(BEGIN) T");
  pooler_.failures = {Lost(), NotSent()};
  EXPECT_EQ(Query("insert into t values (1)"), "C(SELECT 1) T");
  const std::string sent = "query 'insert into t values (1)' begin'begin isolation level serializable' reasons=1";
  EXPECT_THAT(Log(), ElementsAre(sent, sent, sent));
  EXPECT_EQ(Query("commit"), "C(COMMIT) I");
}

TEST_F(FailoverTest, ALaterStatementOfABlockEndsIt) {
  Query("begin");
  Query("insert into t values (1)");
  Log();
  pooler_.failures = {Lost()};
  EXPECT_EQ(Query("insert into t values (2)"), "E(40001) E");
  EXPECT_EQ(Query("insert into t values (3)"), "E(25P02) E");
  EXPECT_THAT(Log(), ElementsAre("query 'insert into t values (2)' on 100"));
  EXPECT_EQ(Query("rollback"), "C(ROLLBACK) I");
  EXPECT_EQ(Query("select 1"), "C(SELECT 1) I");
}

TEST_F(FailoverTest, AStatementOnAReservedBackendThatWasNeverSentIsTriedThereAgainButNeverBuffered) {
  Query("begin");
  Query("insert into t values (1)");
  Log();
  pooler_.failures = {NotSent()};
  EXPECT_EQ(Query("insert into t values (2)"), "C(SELECT 1) T");
  pooler_.failures = {buffer::Attempts::kMaxPauses + 1, NotSent()};
  EXPECT_EQ(Query("insert into t values (3)"), "E(40001) E");
  EXPECT_EQ(waits_, 0);
}

TEST_F(FailoverTest, ALostCommitMayHaveCommitted) {
  Query("begin");
  Query("insert into t values (1)");
  pooler_.failures = {Lost()};
  EXPECT_EQ(Query("commit"), "E(08007) I");
  Query("begin");
  Query("insert into t values (1)");
  pooler_.failures = {NotSent()};
  EXPECT_EQ(Query("commit"), "E(40001) I");
}

// What it prepared would be prepared a second time, or stay for ever.
TEST_F(FailoverTest, ALostPrepareTransactionMayHavePreparedWhereverItStands) {
  pooler_.tags = {{"prepare transaction", "PREPARE TRANSACTION"}};
  for (const bool first : {true, false}) {
    Query("begin");
    if (!first) Query("insert into t values (1)");
    Log();
    pooler_.failures = {Lost()};
    EXPECT_EQ(Query("prepare transaction 'x'"), "E(08007) I");
    const auto log = Log();
    EXPECT_EQ(std::ranges::count_if(log, [](const auto& call) { return call.starts_with("query"); }), 1);
  }
  EXPECT_EQ(waits_, 0);
}

TEST_F(FailoverTest, APrepareTransactionThatWasNeverSentIsSentAgainOnlyIfItIsAllOfItsTransaction) {
  pooler_.tags = {{"prepare transaction", "PREPARE TRANSACTION"}};
  Query("begin");
  pooler_.failures = {NotSent()};
  EXPECT_EQ(Query("prepare transaction 'x'"), "C(PREPARE TRANSACTION) I");
  Query("begin");
  Query("insert into t values (1)");
  pooler_.failures = {buffer::Attempts::kMaxPauses + 1, NotSent()};
  EXPECT_EQ(Query("prepare transaction 'x'"), "E(40001) I");
}

TEST_F(FailoverTest, ALostRollbackIsAsGoodAsADone) {
  Query("begin");
  Query("insert into t values (1)");
  pooler_.failures = {Lost()};
  EXPECT_EQ(Query("rollback"), "C(ROLLBACK) I");
}

TEST_F(FailoverTest, ABatchThatLosesItsFirstStatementBeginsAnew) {
  pooler_.failures = {Lost()};
  EXPECT_EQ(Query("insert into t values (1); insert into t values (2)"), "C(SELECT 1) C(SELECT 1) I");
  pooler_.failures = {};
  Log();
}

TEST_F(FailoverTest, ADescribeThatWasLostIsAskedAgain) {
  ASSERT_TRUE(executor_.Parse(*session_, {.name = "s", .query = "select 1"}));
  pooler_.failures = {Lost()};
  EXPECT_EQ(Do([this](CancelToken& cancel) -> Awaitable<Result<>> {
              return [](FailoverTest* t, CancelToken* cancel) -> Awaitable<Result<>> {
                auto described = co_await t->executor_.DescribeStatement(*t->session_, "s", *cancel);
                if (!described) co_return std::unexpected(std::move(described.error()));
                co_return Result<>();
              }(this, &cancel);
            }),
            "I");
  EXPECT_EQ(Log().size(), 2U);
}

TEST_F(FailoverTest, ACopyThatDidNotBeginBeginsOnTheNewLeader) {
  pooler_.failures = {NotSent()};
  EXPECT_EQ(Query("copy t from stdin"), "C(COPY 2) I");
  EXPECT_EQ(Log().size(), 2U);
}

TEST_F(FailoverTest, ALostCopyMayHaveBeenDoneFromItsEndOn) {
  pooler_.copy_failure = Lost();
  EXPECT_EQ(Query("copy t from stdin"), "E(08007) I");
  pooler_.copy_failure = Lost();
  sink_.copy_input = "1";
  EXPECT_EQ(Query("copy t from stdin"), "E(40001) I");
  Query("begin");
  pooler_.copy_failure = Lost();
  EXPECT_EQ(Query("copy t from stdin"), "E(40001) E");
}

TEST_F(FailoverTest, AWriteThatAStandbyRefusedRunsOnTheLeader) {
  pooler_.failures = {RefusedByStandby()};
  EXPECT_EQ(Query("insert into t values (1)"), "C(SELECT 1) I");
  EXPECT_EQ(Log().size(), 2U);
}

TEST_F(FailoverTest, AClientThatAskedForReadOnlyIsRefusedAtOnce) {
  NewSession({{"default_transaction_read_only", "on"}});
  pooler_.failures = {RefusedByStandby()};
  EXPECT_EQ(Query("insert into t values (1)"), "E(25006) I");
  NewSession({});
  Query("begin transaction READ  only");
  pooler_.failures = {RefusedByStandby()};
  EXPECT_EQ(Query("insert into t values (1)"), "E(25006) E");
  Query("rollback");
  NewSession({}, true);
  pooler_.failures = {RefusedByStandby()};
  EXPECT_EQ(Query("insert into t values (1)"), "E(25006) I");
  EXPECT_EQ(waits_, 0);
}

TEST_F(FailoverTest, ACancelEndsTheWaitForALeader) {
  pooler_.failures = {NotSent()};
  cancel_while_waiting_ = true;
  EXPECT_EQ(Query("insert into t values (1)"), "E(57014) I");
  EXPECT_EQ(Log().size(), 1U);
  EXPECT_EQ(capacity_.taken(), 0U);
}

TEST_F(FailoverTest, AClientOfTheReplicaPortWaitsForNobody) {
  NewSession({}, true);
  pooler_.unavailable = true;
  EXPECT_EQ(Query("select 1"), "E(57P03) I");
  EXPECT_THAT(Log(), IsEmpty());
  EXPECT_EQ(waits_, 0);
}

}  // namespace
}  // namespace multigres::gateway::executor
