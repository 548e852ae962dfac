#include "services/multigateway/executor/executor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "query.pb.h"
#include "services/multigateway/executor/fake_pooler.h"
#include "services/multigateway/scatterconn/scatter_conn.h"
#include "tools/async/reactor.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::gateway::executor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// What the client would see, one message a word.
class RecordingSink final : public engine::ClientSink {
 public:
  std::string Take() { return std::exchange(seen_, {}); }
  std::deque<engine::CopyInput> copy_input;

  void RowDescription(const engine::Fields&) override { Add("T"); }
  void NoData() override { Add("n"); }
  void DataRows(std::string&& /*frames*/, std::uint32_t rows, bool) override { Add(fmt::format("D*{}", rows)); }
  void CommandComplete(std::string_view tag) override { Add(fmt::format("C({})", tag)); }
  void EmptyQuery() override { Add("I"); }
  void PortalSuspended() override { Add("s"); }
  void Notice(const PgDiagnostic& notice) override { Add(fmt::format("N({} {})", notice.code, notice.message)); }
  void CopyInResponse(std::int32_t, std::span<const std::int32_t>) override { Add("G"); }
  void CopyOutResponse(std::int32_t, std::span<const std::int32_t>) override { Add("H"); }
  void CopyData(std::string&& data) override { Add("d" + std::to_string(data.size())); }
  void CopyDone() override { Add("c"); }
  Awaitable<Result<engine::CopyInput>> ReadCopyInput() override {
    if (copy_input.empty()) co_return Fail(Code::kInvalidArgument, "08P01", "unexpected message");
    engine::CopyInput next = std::move(copy_input.front());
    copy_input.pop_front();
    co_return next;
  }
  bool Overfull() const override { return false; }
  Awaitable<Result<>> Flush() override { co_return Result<>(); }

 private:
  void Add(std::string what) { seen_ += seen_.empty() ? what : " " + what; }
  std::string seen_;
};

class ExecutorTest : public testing::Test {
 public:
  ExecutorTest() { NewSession({}); }

  void NewSession(std::vector<session::Settings::Entry> startup, bool replica = false) {
    session::Identity identity;
    identity.user = "u";
    identity.database = "postgres";
    identity.target_replica = replica;
    session_.emplace(std::move(identity), session::Settings::Make(std::move(startup)), session::GatewayVariables(),
                     session::ReportedParameters({{"TimeZone", "UTC"},
                                                  {"client_encoding", "UTF8"},
                                                  {"standard_conforming_strings", "on"},
                                                  {"application_name", ""}}));
  }

  // Everything that the client gets for a Query: messages, the error, and the status byte.
  std::string Query(std::string sql) {
    std::string seen;
    Run([&](CancelToken& cancel) -> Awaitable<void> {
      auto ran = co_await executor_.StreamExecute(*session_, sql, cancel, sink_);
      seen = Seen(ran);
    });
    return seen;
  }
  std::string Seen(const Result<>& ran) {
    std::string seen = sink_.Take();
    if (!ran) {
      int position = ran.error().diagnostic() ? ran.error().diagnostic()->position : 0;
      seen += fmt::format("{}E({}{})", seen.empty() ? "" : " ", ran.error().sqlstate(),
                          position > 0 ? fmt::format("@{}", position) : "");
      last_error_ = ran.error().message();
    }
    return seen + " " + session_->status_byte();
  }
  void Run(std::function<Awaitable<void>(CancelToken&)> body) {
    CancelToken cancel;
    Reactor reactor;  // each runs once
    RunOnReactor(reactor, body(cancel));
  }
  std::vector<std::string> Log() { return pooler_.TakeLog(); }

  Result<> Parse(std::string name, std::string sql) { return executor_.Parse(*session_, {.name = name, .query = sql}); }
  Result<> Bind(std::string portal, std::string statement) {
    return executor_.Bind(*session_, {.portal = portal, .statement = statement});
  }
  std::string Execute(std::string portal, std::uint64_t max_rows = 0, Following following = Following::kSync,
                      bool describe = false) {
    std::string seen;
    Run([&](CancelToken& cancel) -> Awaitable<void> {
      auto ran =
          co_await executor_.PortalStreamExecute(*session_, portal, max_rows, describe, following, cancel, sink_);
      seen = Seen(ran);
    });
    return seen;
  }
  std::string Sync() {
    std::string seen;
    Run([&](CancelToken& cancel) -> Awaitable<void> {
      auto ran = co_await executor_.Sync(*session_, cancel, sink_);
      seen = Seen(ran);
    });
    return seen;
  }
  std::string Setting(const std::string& name) {
    const std::string* value = session_->settings().settings()->Find(name);
    return value == nullptr ? "unset" : *value;
  }

  VirtualClock clock_;
  FakePooler pooler_;
  buffer::BufferCapacity capacity_{10};
  buffer::FailoverBuffer buffer_{clock_, {.enabled = false}, capacity_, nullptr, {}};
  scatterconn::ScatterConn scatter_{pooler_, buffer_, clock_};
  Executor executor_{scatter_, clock_, 1 << 20};
  std::optional<session::Session> session_;
  RecordingSink sink_;
  std::string last_error_;
};

TEST_F(ExecutorTest, RunsAStatementOnAPooledBackend) {
  EXPECT_EQ(Query("select 1"), "T D*1 C(SELECT 1) I");
  EXPECT_THAT(Log(), ElementsAre("query 'select 1'"));
  EXPECT_EQ(Query(" -- nothing\n;"), "I I");
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(ExecutorTest, SendsTheClientsOwnTextWithItsComments) {
  Query("/*+ SeqScan(t) */ select 1; -- trace");
  EXPECT_THAT(Log(), ElementsAre("query '/*+ SeqScan(t) */ select 1; -- trace'"));
}

TEST_F(ExecutorTest, PlansStatementsOfOneShapeOnce) {
  Query("select * from t where a = 1");
  Query("select * from t where a = 2");
  EXPECT_EQ(executor_.plan_cache().stats().hits, 1U);
  EXPECT_THAT(Log(), ElementsAre("query 'select * from t where a = 1'", "query 'select * from t where a = 2'"));
}

TEST_F(ExecutorTest, DefersBeginToTheFirstStatement) {
  EXPECT_EQ(Query("BEGIN ISOLATION LEVEL SERIALIZABLE"), "C(BEGIN) T");
  EXPECT_THAT(Log(), IsEmpty());
  EXPECT_EQ(Query("select 1"), "T D*1 C(SELECT 1) T");
  EXPECT_EQ(Query("select 2"), "T D*1 C(SELECT 1) T");
  EXPECT_EQ(Query("commit"), "C(COMMIT) I");
  EXPECT_THAT(Log(), ElementsAre("query 'select 1' begin'BEGIN ISOLATION LEVEL SERIALIZABLE' reasons=1",
                                 "query 'select 2' on 100", "COMMIT on 100"));
  EXPECT_FALSE(session_->reservation().held());
}

TEST_F(ExecutorTest, AnEmptyTransactionTouchesNoBackend) {
  Query("begin");
  EXPECT_EQ(Query("rollback"), "C(ROLLBACK) I");
  Query("start transaction");
  EXPECT_EQ(Query("commit"), "C(COMMIT) I");
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(ExecutorTest, WarnsAboutTransactionControlOutOfPlace) {
  EXPECT_EQ(Query("commit"), "N(25P01 there is no transaction in progress) C(COMMIT) I");
  EXPECT_EQ(Query("commit and chain"), "E(25P01) I");
  EXPECT_EQ(last_error_, "COMMIT AND CHAIN can only be used in transaction blocks");
  Query("begin");
  EXPECT_EQ(Query("begin"), "N(25001 there is already a transaction in progress) C(BEGIN) T");
}

TEST_F(ExecutorTest, AnErrorFailsTheBlockUntilItEnds) {
  Query("begin");
  EXPECT_EQ(Query("fail"), "E(22012@3) E");
  EXPECT_EQ(Query("select 1"), "E(25P02) E");
  EXPECT_EQ(Query("begin"), "E(25P02) E");
  EXPECT_EQ(Query("commit"), "C(COMMIT) I");  // the fake's backend says what it is told
  EXPECT_THAT(Log(), ElementsAre("query 'fail' begin'begin' reasons=1", "COMMIT on 100"));
}

TEST_F(ExecutorTest, ABlockThatFailsBeforeItBeganEndsInRollback) {
  Query("begin");
  EXPECT_EQ(Query("execute nosuch"), "E(26000) E");
  EXPECT_EQ(Query("commit"), "C(ROLLBACK) I");
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(ExecutorTest, AFailedCommitHasRolledBack) {
  Query("begin");
  Query("select 1");
  pooler_.fail_commit = true;
  EXPECT_EQ(Query("commit"), "E(23503) I");
}

TEST_F(ExecutorTest, AChainedTransactionStaysOnItsBackend) {
  Query("begin");
  Query("select 1");
  EXPECT_EQ(Query("commit and chain"), "C(COMMIT) T");
  EXPECT_EQ(Query("select 2"), "T D*1 C(SELECT 1) T");
  Query("rollback");
  EXPECT_THAT(Log(), ElementsAre("query 'select 1' begin'begin' reasons=1", "COMMIT AND CHAIN on 100",
                                 "query 'select 2' on 100", "ROLLBACK on 100"));
}

TEST_F(ExecutorTest, ALostBackendFailsTheTransactionAndRollbackSucceeds) {
  Query("begin");
  Query("select 1");
  pooler_.KillBackend();
  EXPECT_EQ(Query("select 2"), "E(40001) E");
  EXPECT_EQ(Query("rollback"), "C(ROLLBACK) I");
  EXPECT_EQ(Query("select 3"), "T D*1 C(SELECT 1) I");
}

TEST_F(ExecutorTest, RollbackOnALostBackendSucceedsAndCommitDoesNot) {
  Query("begin");
  Query("select 1");
  pooler_.KillBackend();
  EXPECT_EQ(Query("rollback"), "C(ROLLBACK) I");
  Query("begin");
  Query("select 1");
  pooler_.KillBackend();
  EXPECT_EQ(Query("commit"), "E(40001) I");
}

TEST_F(ExecutorTest, WithoutALeaderStatementsFailAndTheSessionLives) {
  pooler_.unavailable = true;
  EXPECT_EQ(Query("select 1"), "E(57P03) I");
  EXPECT_EQ(last_error_, "no writable primary is currently available");
  Query("begin");
  EXPECT_EQ(Query("select 1"), "E(57P03) E");
  EXPECT_EQ(Query("rollback"), "C(ROLLBACK) I");
  NewSession({}, true);
  EXPECT_EQ(Query("select 1"), "E(57P03) I");
  EXPECT_EQ(last_error_, "no replica is currently available");
}

TEST_F(ExecutorTest, SavepointsRestoreSettings) {
  Query("begin");
  Query("set a.b = 'one'");
  Query("savepoint s");
  Query("set a.b = 'two'");
  EXPECT_EQ(Setting("a.b"), "two");
  pooler_.tags["rollback to"] = "ROLLBACK";
  EXPECT_EQ(Query("rollback to s"), "C(ROLLBACK) T");
  EXPECT_EQ(Setting("a.b"), "one");
  Query("rollback");
  EXPECT_EQ(Setting("a.b"), "unset");
}

TEST_F(ExecutorTest, RollbackToRecoversAFailedBlock) {
  Query("begin");
  Query("savepoint s");
  EXPECT_EQ(Query("fail"), "E(22012@3) E");
  EXPECT_EQ(Query("rollback to s").back(), 'T');
}

TEST_F(ExecutorTest, SetOutsideATransactionAsksForTheCanonicalValue) {
  EXPECT_EQ(Query("set work_mem = '4MB'"), "C(SET) I");
  EXPECT_THAT(Log(), ElementsAre("query 'SELECT pg_catalog.set_config('work_mem', '4MB', true)'"));
  Query("select 1");
  EXPECT_THAT(Log(), ElementsAre("query 'select 1' work_mem=4MB"));
  EXPECT_EQ(Query("reset work_mem"), "C(RESET) I");
  Log();
  Query("select 1");
  EXPECT_THAT(Log(), ElementsAre("query 'select 1'"));
}

TEST_F(ExecutorTest, SetOfAReportedParameterIsToldToTheClient) {
  Query("set timezone = 'Europe/Berlin'");
  auto changes = session_->reported().TakeChanges();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].first, "TimeZone");
  EXPECT_EQ(changes[0].second, "Europe/Berlin");
  EXPECT_TRUE(session_->reported().TakeChanges().empty());
  Query("reset all");
  EXPECT_EQ(session_->reported().TakeChanges().size(), 1U);
}

TEST_F(ExecutorTest, ResetReturnsToTheStartupValue) {
  NewSession({{"TimeZone", "CET"}});
  Query("set timezone = 'UTC'");
  EXPECT_EQ(Setting("timezone"), "UTC");
  Query("reset timezone");
  EXPECT_EQ(Setting("timezone"), "CET");
  Query("set x.y = 1");
  Query("reset all");
  EXPECT_EQ(Setting("x.y"), "unset");
  EXPECT_EQ(Setting("timezone"), "CET");
}

TEST_F(ExecutorTest, GatewayVariablesAreNeverSent) {
  EXPECT_EQ(Query("set statement_timeout = '90s'"), "C(SET) I");
  EXPECT_EQ(session_->statement_timeout_ms(), 90'000);
  EXPECT_EQ(Query("show statement_timeout"), "T D*1 C(SHOW) I");
  EXPECT_EQ(Query("set local statement_timeout = 1"),
            "N(25P01 SET LOCAL can only be used in transaction blocks) C(SET) I");
  EXPECT_EQ(Query("set statement_timeout = 'x'"), "E(22023) I");
  EXPECT_EQ(last_error_, "invalid value for parameter \"statement_timeout\": \"x\"");
  Query("begin");
  Query("set local statement_timeout = 5");
  EXPECT_EQ(session_->statement_timeout_ms(), 5);
  Query("commit");
  EXPECT_EQ(session_->statement_timeout_ms(), 90'000);
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(ExecutorTest, SetConfigIsTracked) {
  EXPECT_EQ(Query("select set_config('search_path', 'x', false)"), "T D*1 C(SELECT 1) I");
  EXPECT_THAT(Log(), ElementsAre("query 'select set_config('search_path', 'x', true)'"));
  EXPECT_EQ(Setting("search_path"), "x");
  Query("begin");
  Query("select set_config('search_path', 'y', false)");
  EXPECT_THAT(Log(), ElementsAre("query 'select set_config('search_path', 'y', false)' begin'begin' reasons=1 "
                                 "search_path=x"));
  Query("rollback");
  EXPECT_EQ(Setting("search_path"), "x");
}

TEST_F(ExecutorTest, PinsForTemporaryTablesAndUnpinsByDiscard) {
  pooler_.tags["create"] = "CREATE TABLE";
  EXPECT_EQ(Query("create temp table t (a int)"), "C(CREATE TABLE) I");
  Query("select * from t");
  EXPECT_EQ(Query("discard temp"), "C(DISCARD TEMP) I");
  Query("select 1");
  EXPECT_EQ(Query("discard temp"), "C(DISCARD TEMP) I");
  EXPECT_THAT(Log(), ElementsAre("query 'create temp table t (a int)' reasons=2", "query 'select * from t' on 100",
                                 "DISCARD TEMP on 100", "query 'select 1'"));
}

TEST_F(ExecutorTest, BeginOnAPinnedSessionReachesItsBackend) {
  pooler_.tags["create"] = "CREATE TABLE";
  Query("create temp table t (a int)");
  Query("begin");
  sink_.copy_input = {{engine::CopyInput::Kind::kData, "1\n"}, {engine::CopyInput::Kind::kDone, ""}};
  EXPECT_EQ(Query("copy t from stdin"), "G C(COPY 2) T");
  EXPECT_THAT(Log(), ElementsAre("query 'create temp table t (a int)' reasons=2",
                                 "copy 'copy t from stdin' begin'begin' reasons=1 on 100"));
}

TEST_F(ExecutorTest, DiscardAllGivesTheBackendBackAndForgetsEverything) {
  Query("prepare p as select 1");
  Query("set work_mem = '4MB'");
  Query("create temp table t (a int)");
  Log();
  EXPECT_EQ(Query("discard all"), "C(DISCARD ALL) I");
  EXPECT_THAT(Log(), ElementsAre("release on 100 work_mem=4MB"));
  EXPECT_EQ(Setting("work_mem"), "unset");
  EXPECT_EQ(session_->statements().size(), 0U);
  Query("begin");
  EXPECT_EQ(Query("discard all"), "E(25001) E");
}

TEST_F(ExecutorTest, HoldCursorsPinUntilTheyAreClosed) {
  pooler_.tags["declare"] = "DECLARE CURSOR";
  pooler_.tags["close"] = "CLOSE CURSOR";
  EXPECT_EQ(Query("declare c cursor with hold for select 1"), "C(DECLARE CURSOR) I");
  Query("close c");
  EXPECT_THAT(Log(), ElementsAre("query 'declare c cursor with hold for select 1' reasons=4 pin(c)",
                                 "query 'close c' on 100 release(c)"));
}

TEST_F(ExecutorTest, PreparesAndExecutesByName) {
  EXPECT_EQ(Query("prepare p (int) as select $1"), "C(PREPARE) I");
  EXPECT_EQ(Query("execute p (7)"), "T D*1 C(SELECT 1) I");
  EXPECT_EQ(Query("explain execute p(1)"), "T D*1 C(SELECT 1) I");
  EXPECT_EQ(Query("prepare p as select 2"), "E(42P05) I");
  EXPECT_EQ(Query("deallocate p"), "C(DEALLOCATE) I");
  EXPECT_EQ(Query("execute p (7)"), "E(26000) I");
  EXPECT_EQ(last_error_, "prepared statement \"p\" does not exist");
  EXPECT_THAT(Log(), ElementsAre("query 'SELECT 'int'::pg_catalog.regtype::pg_catalog.oid'", "describe 'select $1' $1",
                                 "query 'execute [select $1] (7)'", "query 'explain execute [select $1](1)'"));
}

TEST_F(ExecutorTest, ErrorsOfAPreparedBodyPointIntoTheClientsText) {
  EXPECT_EQ(Query("prepare p as select boom"), "E(42703@21) I");
  EXPECT_EQ(Query("select 1; prepare p as select boom"), "T D*1 C(SELECT 1) E(42703@31) I");
}

TEST_F(ExecutorTest, CopiesBothWays) {
  sink_.copy_input = {{engine::CopyInput::Kind::kData, "1\n"},
                      {engine::CopyInput::Kind::kData, "2\n"},
                      {engine::CopyInput::Kind::kDone, ""}};
  EXPECT_EQ(Query("copy t from stdin"), "G C(COPY 2) I");
  EXPECT_THAT(pooler_.copied, ElementsAre("1\n", "2\n"));
  EXPECT_EQ(Query("copy t to stdout"), "H d2 d2 c C(COPY 2) I");
  sink_.copy_input = {{engine::CopyInput::Kind::kFail, "x"}};
  EXPECT_EQ(Query("copy t from stdin"), "G E(57014) I");
  sink_.copy_input = {};
  EXPECT_EQ(Query("copy t from stdin"), "G E(08P01) I");
  EXPECT_EQ(Query("select 1"), "T D*1 C(SELECT 1) I");
}

// Several statements in one Query.

TEST_F(ExecutorTest, ABatchIsOneTransactionAndItsLastTagWaitsForTheCommit) {
  EXPECT_EQ(Query("select 1; select 2"), "T D*1 C(SELECT 1) T D*1 C(SELECT 1) I");
  EXPECT_THAT(Log(),
              ElementsAre("query 'select 1' begin'BEGIN' reasons=1", "query 'select 2' on 100", "COMMIT on 100"));
  pooler_.fail_commit = true;
  EXPECT_EQ(Query("select 1; select 2"), "T D*1 C(SELECT 1) T D*1 E(23503) I");
}

TEST_F(ExecutorTest, AnErrorRollsABatchBackAndSkipsTheRest) {
  EXPECT_EQ(Query("select 1; execute nosuch; select 2"), "T D*1 C(SELECT 1) E(26000) I");
  EXPECT_THAT(Log(), ElementsAre("query 'select 1' begin'BEGIN' reasons=1", "ROLLBACK on 100"));
}

TEST_F(ExecutorTest, BeginInABatchAdoptsWhatCameBefore) {
  EXPECT_EQ(Query("select 1; begin; select 2"), "T D*1 C(SELECT 1) C(BEGIN) T D*1 C(SELECT 1) T");
  EXPECT_EQ(Query("rollback"), "C(ROLLBACK) I");
  Log();
  EXPECT_EQ(Query("begin isolation level serializable; select 2; commit; select 3"),
            "C(BEGIN) T D*1 C(SELECT 1) C(COMMIT) T D*1 C(SELECT 1) I");
  EXPECT_THAT(Log(), ElementsAre("query 'select 2' begin'begin isolation level serializable' reasons=1",
                                 "COMMIT on 101", "query 'select 3' begin'BEGIN' reasons=1", "COMMIT on 102"));
  EXPECT_EQ(Query("select 1; begin isolation level serializable"), "T D*1 C(SELECT 1) E(25001) I");
  EXPECT_EQ(Query("select 1; begin read only").back(), 'T');
}

TEST_F(ExecutorTest, CommitInABatchWarnsAndEndsItsSegment) {
  EXPECT_EQ(Query("select 1; commit; select 2"),
            "T D*1 C(SELECT 1) N(25P01 there is no transaction in progress) C(COMMIT) T D*1 C(SELECT 1) I");
}

TEST_F(ExecutorTest, SavepointsNeedABlockOfTheClients) {
  EXPECT_EQ(Query("select 1; savepoint s"), "T D*1 C(SELECT 1) E(25P01) I");
  EXPECT_EQ(last_error_, "SAVEPOINT can only be used in transaction blocks");
}

TEST_F(ExecutorTest, ASyntaxErrorInABatchRunsNothing) {
  EXPECT_EQ(Query("select 1; selekt 2"), "E(42601@11) I");
  EXPECT_THAT(Log(), ElementsAre("describe 'selekt 2'"));
  EXPECT_EQ(Query("select 1; set to to"), "E(42601@15) I");
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(ExecutorTest, PositionsCountFromTheBeginningOfTheBatch) {
  EXPECT_EQ(Query("select 1; fail 2"), "T D*1 C(SELECT 1) E(22012@13) I");
}

TEST_F(ExecutorTest, ABatchInABlockStaysInIt) {
  Query("begin");
  EXPECT_EQ(Query("select 1; select 2"), "T D*1 C(SELECT 1) T D*1 C(SELECT 1) T");
  EXPECT_EQ(Query("execute nosuch; select 2"), "E(26000) E");
  EXPECT_EQ(Query("select 1; rollback"), "E(25P02) E");
  EXPECT_EQ(Query("rollback; select 1"), "C(ROLLBACK) T D*1 C(SELECT 1) I");
}

// The extended protocol.

TEST_F(ExecutorTest, AnExecuteAloneBeforeItsSyncCommitsByItself) {
  ASSERT_TRUE(Parse("", "select $1"));
  ASSERT_TRUE(Bind("", ""));
  EXPECT_EQ(Execute("", 0, Following::kSync, true), "T D*1 C(SELECT 1) I");
  EXPECT_EQ(Sync(), " I");
  EXPECT_THAT(Log(), ElementsAre("portal 'select $1' describe"));
}

TEST_F(ExecutorTest, APipelineIsOneTransactionUntilItsSync) {
  ASSERT_TRUE(Parse("s", "insert into t values (1)"));
  ASSERT_TRUE(Bind("", "s"));
  EXPECT_EQ(Execute("", 0, Following::kOther), "D*1 C(SELECT 1) T");
  ASSERT_TRUE(Bind("", "s"));
  EXPECT_EQ(Execute("", 0, Following::kSync), "D*1 C(SELECT 1) T");
  EXPECT_EQ(Sync(), " I");
  EXPECT_THAT(Log(), ElementsAre("portal 'insert into t values (1)' begin'BEGIN' reasons=1",
                                 "portal 'insert into t values (1)' on 100", "COMMIT on 100"));
}

TEST_F(ExecutorTest, AnErrorInAPipelineRollsAllOfItBack) {
  ASSERT_TRUE(Parse("s", "insert into t values (1)"));
  ASSERT_TRUE(Bind("", "s"));
  Execute("", 0, Following::kOther);
  EXPECT_FALSE(Bind("", "nosuch"));
  EXPECT_EQ(Sync(), " I");
  EXPECT_THAT(Log(), ElementsAre("portal 'insert into t values (1)' begin'BEGIN' reasons=1", "ROLLBACK on 100"));
}

TEST_F(ExecutorTest, AFailedCommitOfAPipelineShowsAtSync) {
  ASSERT_TRUE(Parse("s", "insert into t values (1)"));
  ASSERT_TRUE(Bind("", "s"));
  Execute("", 0, Following::kOther);
  pooler_.fail_commit = true;
  EXPECT_EQ(Sync(), "E(23503) I");
}

TEST_F(ExecutorTest, BeginInAPipelineAdoptsIt) {
  ASSERT_TRUE(Parse("b", "begin"));
  ASSERT_TRUE(Bind("", "b"));
  EXPECT_EQ(Execute("", 0, Following::kOther), "C(BEGIN) T");
  ASSERT_TRUE(Parse("s", "select 1"));
  ASSERT_TRUE(Bind("", "s"));
  Execute("", 0, Following::kSync);
  EXPECT_EQ(Sync(), " T");
  EXPECT_THAT(Log(), ElementsAre("portal 'select 1' begin'begin' reasons=1"));
}

TEST_F(ExecutorTest, APortalSuspendsAndGoesOnWhereItStopped) {
  Query("begin");
  ASSERT_TRUE(Parse("s", "select * from t"));
  ASSERT_TRUE(Bind("p", "s"));
  EXPECT_EQ(Execute("p", 2, Following::kSync, true), "T D*2 s T");
  Sync();
  EXPECT_EQ(Execute("p", 2), "D*2 s T");
  Sync();
  EXPECT_EQ(Execute("p", 2), "D*1 C(SELECT 1) T");
  EXPECT_EQ(Execute("p", 2), "E(55000) E");
  EXPECT_THAT(Log(), ElementsAre("portal 'select * from t' describe max=2 begin'begin' reasons=1",
                                 "portal 'select * from t' resume max=2 on 100",
                                 "portal 'select * from t' resume max=2 on 100"));
}

TEST_F(ExecutorTest, ASuspendedPortalOutsideABlockEndsAtSync) {
  ASSERT_TRUE(Parse("s", "select * from t"));
  ASSERT_TRUE(Bind("p", "s"));
  EXPECT_EQ(Execute("p", 2), "D*2 s T");
  EXPECT_EQ(Sync(), " I");
  EXPECT_FALSE(session_->reservation().held());
  EXPECT_EQ(Execute("p", 2), "E(34000) I");
}

TEST_F(ExecutorTest, CommitFreesTheBackendOfASuspendedPortal) {
  Query("begin");
  ASSERT_TRUE(Parse("s", "select * from t"));
  ASSERT_TRUE(Bind("p", "s"));
  EXPECT_EQ(Execute("p", 2), "D*2 s T");
  Sync();
  EXPECT_EQ(Query("commit"), "C(COMMIT) I");
  EXPECT_FALSE(session_->reservation().held());
}

TEST_F(ExecutorTest, NamesOfStatementsAreTakenOnceABackendHasSeenThem) {
  ASSERT_TRUE(Parse("s", "select 1"));
  ASSERT_TRUE(Parse("s", "select 2"));
  ASSERT_TRUE(Bind("", "s"));
  Execute("");
  Sync();
  auto again = Parse("s", "select 3");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().sqlstate(), "42P05");
  Run([this](CancelToken&) -> Awaitable<void> { co_await executor_.CloseStatement(*session_, "s"); });
  EXPECT_TRUE(Parse("s", "select 3"));
}

TEST_F(ExecutorTest, ParseRefusesSeveralStatementsAndWhatIsNotSupported) {
  EXPECT_EQ(Parse("", "select 1; select 2").error().sqlstate(), "42601");
  EXPECT_EQ(Parse("", "load 'x'").error().sqlstate(), "0A000");
  EXPECT_EQ(Bind("", "nosuch").error().sqlstate(), "26000");
  Query("begin");
  Query("execute nosuch");
  EXPECT_EQ(Parse("", "select 1").error().sqlstate(), "25P02");
  EXPECT_TRUE(Parse("", "rollback"));
  EXPECT_TRUE(Parse("", ""));
}

TEST_F(ExecutorTest, AnEmptyStatementRunsToNothing) {
  ASSERT_TRUE(Parse("", " ; "));
  ASSERT_TRUE(Bind("", ""));
  EXPECT_EQ(Execute("", 0, Following::kSync, true), "n I I");
}

TEST_F(ExecutorTest, UtilityStatementsWorkAsPortals) {
  ASSERT_TRUE(Parse("", "set work_mem = '1MB'"));
  ASSERT_TRUE(Bind("", ""));
  EXPECT_EQ(Execute("", 0, Following::kSync, true), "n C(SET) I");
  ASSERT_TRUE(Parse("", "show statement_timeout"));
  ASSERT_TRUE(Bind("", ""));
  EXPECT_EQ(Execute(""), "D*1 C(SHOW) I");
}

TEST_F(ExecutorTest, DescribesWhatItMakesItselfAndAsksForTheRest) {
  ASSERT_TRUE(Parse("a", "show statement_timeout"));
  ASSERT_TRUE(Parse("b", "begin"));
  ASSERT_TRUE(Parse("c", "select $1"));
  Run([this](CancelToken& cancel) -> Awaitable<void> {
    auto show = co_await executor_.DescribeStatement(*session_, "a", cancel);
    EXPECT_TRUE(show && show->rows && show->rows->fields(0).name() == "statement_timeout");
    auto begin = co_await executor_.DescribeStatement(*session_, "b", cancel);
    EXPECT_TRUE(begin && !begin->rows);
    auto select = co_await executor_.DescribeStatement(*session_, "c", cancel);
    EXPECT_TRUE(select && select->rows);
    if (select) EXPECT_THAT(select->param_types, ElementsAre(23U));
    auto missing = co_await executor_.DescribeStatement(*session_, "d", cancel);
    EXPECT_FALSE(missing);
  });
}

TEST_F(ExecutorTest, TextOfAnyEncodingGoesThroughAsItIs) {
  EXPECT_EQ(Query("select '\xff'"), "T D*1 C(SELECT 1) I");
  EXPECT_EQ(pooler_.last_query.query(), "select '\xff'");
}

TEST_F(ExecutorTest, EncodingsThatHideSyntaxAreRefused) {
  EXPECT_EQ(Query("set client_encoding = 'SJIS'"), "E(0A000) I");
  EXPECT_EQ(Query("set names 'LATIN1'"), "C(SET) I");
}

TEST_F(ExecutorTest, EndSessionGivesBackWhatIsHeld) {
  Query("begin");
  Query("select 1");
  Log();
  Run([this](CancelToken&) -> Awaitable<void> { co_await executor_.EndSession(*session_); });
  EXPECT_THAT(Log(), ElementsAre("release on 100"));
  EXPECT_FALSE(session_->reservation().held());
}

}  // namespace
}  // namespace multigres::gateway::executor
