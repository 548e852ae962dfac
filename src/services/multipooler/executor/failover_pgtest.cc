// What a pooler says of statements whose server went away, or was no leader: did they run?
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "common/mterrors/conditions.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/executor.h"
#include "services/multipooler/executor/result_pump.h"
#include "test/support/postgres.h"
#include "tools/async/reactor.h"
#include "tools/result/check.h"

namespace multigres::pooler::executor {
namespace {

using namespace std::chrono_literals;
using multipoolerservice::ConcludeTransactionRequest;
using multipoolerservice::StreamExecuteRequest;
using queryservice::ExecuteOutcome;

::query::ExecuteOptions Options(std::uint64_t reserved = 0) {
  ::query::ExecuteOptions options;
  options.set_user("postgres");
  options.set_passthrough_row(false);
  options.set_reserved_connection_id(reserved);
  return options;
}

StreamExecuteRequest Statement(std::string sql, std::uint64_t reserved = 0, std::uint32_t reasons = 0) {
  StreamExecuteRequest request;
  request.set_query(std::move(sql));
  *request.mutable_options() = Options(reserved);
  request.mutable_reservation_options()->set_reasons(reasons);
  return request;
}

// A statement under way.
struct Running {
  StreamExecuteRequest request;
  CollectingSink sink{};
  std::optional<ExecuteOutcome> outcome{};
  Event ended{};
};

// A server of its own, and a pooler's executor on it.
class FailoverPgTest : public testing::Test {
 public:
  void SetUp() override {
    auto server = test::PostgresServer::Start({.settings = {}, .hba = {"local all all trust"}});
    ASSERT_TRUE(server.has_value()) << server.error().ToString();
    server_ = std::move(*server);
    config_.address = UnixAddress{server_->socket_path()};
    config_.database = "postgres";
    config_.admin_user = "postgres";
    config_.dial_timeout = 2s;
  }

  void Run(Awaitable<void> (*test)(FailoverPgTest*)) {
    Reactor reactor;
    reactor_ = &reactor;
    random_ = SystemRandom();
    budget_ = std::make_unique<connpool::PermitBudget>(6);
    pools_ = std::make_unique<connpool::PoolSet>(reactor, config_, *budget_, *random_, Logger(), 2);
    executor_ = std::make_unique<Executor>(*pools_, 1, ExecutorConfig{}, Logger());
    TaskGroup tasks(reactor.executor());
    tasks_ = &tasks;
    const auto whole = [](FailoverPgTest* t, Awaitable<void> (*test)(FailoverPgTest*)) -> Awaitable<void> {
      t->pools_->Start();
      t->executor_->Start();
      co_await test(t);
      co_await t->tasks_->Join();
      co_await t->executor_->Stop();
      co_await t->pools_->Stop();
    };
    RunOnReactor(reactor, whole(this, test));
    executor_.reset();
    pools_.reset();
  }

  void Sql(const std::string& sql) {
    auto ran = server_->Psql(sql);
    ASSERT_TRUE(ran.has_value()) << ran.error().ToString();
  }
  // Commits hang from now on.
  void Fence() {
    ASSERT_TRUE(server_->Configure("synchronous_standby_names", "ANY 1 (nobody)"));
    for (int i = 0; i < 100; ++i) {
      if (server_->Psql("SHOW synchronous_standby_names").value_or("") == "ANY 1 (nobody)") return;
    }
    FAIL() << "the configuration isn't read";
  }

  static Awaitable<void> Execute(FailoverPgTest* t, Running* running) {
    running->outcome.emplace(co_await t->executor_->StreamExecute(running->request, {}, running->sink));
    running->ended.Set();
  }
  void Start(Running& running) { tasks_->Spawn("statement", Execute(this, &running)); }
  Awaitable<ExecuteOutcome> Do(StreamExecuteRequest request) {
    CollectingSink sink;
    co_return co_await executor_->StreamExecute(request, {}, sink);
  }
  // Until `sql` (asked by way of the pool) gives a row that isn't empty.
  Awaitable<std::string> Eventually(std::string sql) {
    const Deadline deadline = reactor_->clock().After(20s);
    while (!deadline.Passed(reactor_->clock().Now())) {
      CollectingSink sink;
      auto request = Statement(sql);
      auto outcome = co_await executor_->StreamExecute(request, {}, sink);
      auto result = sink.Take();
      if (outcome.result && result->rows_size() > 0) co_return result->rows(0).values();
      co_await SleepFor(reactor_->clock(), 10ms);
    }
    ADD_FAILURE() << "never: " << sql;
    co_return "";
  }
  Awaitable<void> Ended(Running& running) {
    const bool ended = co_await running.ended.WaitUntil(reactor_->clock(), reactor_->clock().After(20s));
    CHECK(ended, "the statement hangs");
  }
  static std::string Notices(Running& running) {
    std::string text;
    for (const auto& notice : running.sink.Take()->notices()) text += notice.message() + "\n";
    return text;
  }

  std::unique_ptr<test::PostgresServer> server_;
  connpool::PoolConfig config_;
  Reactor* reactor_ = nullptr;
  TaskGroup* tasks_ = nullptr;
  std::unique_ptr<Random> random_;
  std::unique_ptr<connpool::PermitBudget> budget_;
  std::unique_ptr<connpool::PoolSet> pools_;
  std::unique_ptr<Executor> executor_;
};

TEST_F(FailoverPgTest, ACancelledWaitForStandbysIsAnUnknownOutcome) {
  Sql("CREATE TABLE t (a int)");
  Fence();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    Running insert{.request = Statement("INSERT INTO t VALUES (1)")};
    t->Start(insert);
    co_await t->Eventually("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    co_await t->Ended(insert);
    const auto& result = insert.outcome->result;
    EXPECT_FALSE(result.has_value());
    if (result) co_return;
    EXPECT_EQ(result.error().sqlstate(), mterrors::kOutcomeUnknown);
    EXPECT_EQ(result.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_NE(Notices(insert).find("canceling wait for synchronous replication"), std::string::npos);
    // It is there, and would have been called committed.
    EXPECT_EQ(co_await t->Eventually("SELECT count(*) FROM t"), "1");
  });
}

TEST_F(FailoverPgTest, ACommitWhoseWaitIsCancelledIsAnUnknownOutcome) {
  Sql("CREATE TABLE t (a int)");
  Fence();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto begun = co_await t->Do(Statement("INSERT INTO t VALUES (1)", 0, reason::kTransaction));
    EXPECT_TRUE(begun.result.has_value());
    if (!begun.result) co_return;
    const std::uint64_t id = begun.reserved_state->reserved_connection_id();
    struct Commit {
      ConcludeTransactionRequest request;
      std::optional<Error> error;
      Event ended{};
    } commit;
    *commit.request.mutable_options() = Options(id);
    commit.request.set_conclusion(multipoolerservice::TRANSACTION_CONCLUSION_COMMIT);
    const auto conclude = [](FailoverPgTest* t, Commit* commit) -> Awaitable<void> {
      auto concluded = co_await t->executor_->ConcludeTransaction(commit->request, {});
      if (!concluded) commit->error = std::move(concluded.error());
      commit->ended.Set();
    };
    t->tasks_->Spawn("commit", conclude(t, &commit));
    co_await t->Eventually("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    EXPECT_TRUE(co_await commit.ended.WaitUntil(t->reactor_->clock(), t->reactor_->clock().After(20s)));
    EXPECT_TRUE(commit.error.has_value());
    if (commit.error) EXPECT_EQ(commit.error->execution(), Execution::kMayHaveExecuted);
    if (commit.error) EXPECT_NE(commit.error->message().find("outcome of the statement is unknown"), std::string::npos);
    EXPECT_EQ(t->executor_->reservations().size(), 0U);
  });
}

TEST_F(FailoverPgTest, AStatementThatIsTerminatedInItsWaitMayHaveRun) {
  Sql("CREATE TABLE t (a int)");
  Fence();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    Running insert{.request = Statement("INSERT INTO t VALUES (1)")};
    t->Start(insert);
    co_await t->Eventually("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    co_await t->Ended(insert);
    const auto& result = insert.outcome->result;
    EXPECT_FALSE(result.has_value());
    if (result) co_return;
    // PostgreSQL warns, commits, and goes without another word.
    EXPECT_EQ(result.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_NE(result.error().code(), Code::kPreExecutionUnavailable);
    EXPECT_NE(Notices(insert).find("canceling the wait for synchronous replication"), std::string::npos);
    EXPECT_EQ(co_await t->Eventually("SELECT count(*) FROM t"), "1");
  });
}

TEST_F(FailoverPgTest, AStatementWhoseBackendIsKilledMayHaveRun) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    Running statement{.request = Statement("SELECT pg_sleep(60)")};
    t->Start(statement);
    const auto pid = co_await t->Eventually("SELECT pid FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'");
    EXPECT_EQ(::kill(std::atoi(pid.c_str()), SIGKILL), 0);
    co_await t->Ended(statement);
    const auto& result = statement.outcome->result;
    EXPECT_FALSE(result.has_value());
    if (result) co_return;
    EXPECT_EQ(result.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_NE(result.error().code(), Code::kPreExecutionUnavailable);
  });
}

TEST_F(FailoverPgTest, TheFirstStatementOfABlockWhoseBackendIsKilledCountsAsNotRun) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    Running statement{.request = Statement("SELECT pg_sleep(60)", 0, reason::kTransaction)};
    t->Start(statement);
    const auto pid = co_await t->Eventually("SELECT pid FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'");
    EXPECT_EQ(::kill(std::atoi(pid.c_str()), SIGKILL), 0);
    co_await t->Ended(statement);
    const auto& result = statement.outcome->result;
    EXPECT_FALSE(result.has_value());
    if (result) co_return;
    EXPECT_EQ(result.error().code(), Code::kPreExecutionUnavailable);
    EXPECT_EQ(result.error().execution(), Execution::kDidNotExecute);
    EXPECT_EQ(statement.outcome->reserved_state, nullptr);
  });
}

TEST_F(FailoverPgTest, ASessionsStatementWhoseBackendIsKilledIsUnknownOutsideABlockAndUndoneInside) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    for (const bool in_block : {true, false}) {
      const std::uint32_t reason = in_block ? reason::kTransaction : reason::kSessionAdvisoryLock;
      auto reserved = co_await t->Do(Statement("SELECT 1", 0, reason));
      EXPECT_TRUE(reserved.reserved_state != nullptr);
      if (reserved.reserved_state == nullptr) co_return;
      Running statement{.request = Statement("SELECT pg_sleep(60)", reserved.reserved_state->reserved_connection_id())};
      t->Start(statement);
      const auto pid = co_await t->Eventually("SELECT pid FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'");
      EXPECT_EQ(::kill(std::atoi(pid.c_str()), SIGKILL), 0);
      co_await t->Ended(statement);
      const auto& result = statement.outcome->result;
      EXPECT_FALSE(result.has_value());
      if (result) co_return;
      EXPECT_EQ(result.error().sqlstate(), in_block ? "40001" : mterrors::kOutcomeUnknown);
      // The crash takes all connections with it.
      t->server_->Kill();
      EXPECT_TRUE(t->server_->StartAgain().has_value());
    }
  });
}

TEST_F(FailoverPgTest, AServerThatIsDownHasRunNothing) {
  server_->Kill();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    for (const std::uint32_t reasons : {std::uint32_t{0}, reason::kTransaction}) {
      auto outcome = co_await t->Do(Statement("SELECT 1", 0, reasons));
      EXPECT_FALSE(outcome.result.has_value());
      if (outcome.result) co_return;
      EXPECT_EQ(outcome.result.error().code(), Code::kPreExecutionUnavailable);
      EXPECT_EQ(outcome.result.error().execution(), Execution::kDidNotExecute);
    }
  });
}

TEST_F(FailoverPgTest, AnIdleConnectionThatDiedIsReplacedUnnoticed) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    EXPECT_TRUE((co_await t->Do(Statement("SELECT 1"))).result.has_value());
    t->server_->Kill();
    EXPECT_TRUE(t->server_->StartAgain().has_value());
    EXPECT_TRUE((co_await t->Do(Statement("SELECT 1"))).result.has_value());
  });
}

TEST_F(FailoverPgTest, AFrozenServerIsUnreachableNotOutOfTime) {
  ASSERT_EQ(::kill(server_->pid(), SIGSTOP), 0);
  config_.dial_timeout = 100ms;
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto outcome = co_await t->Do(Statement("SELECT 1"));
    EXPECT_FALSE(outcome.result.has_value());
    if (outcome.result) co_return;
    EXPECT_EQ(outcome.result.error().code(), Code::kPreExecutionUnavailable);
  });
  ASSERT_EQ(::kill(server_->pid(), SIGCONT), 0);
}

TEST_F(FailoverPgTest, ARoleThatMayNotLogInIsNoReasonToLookForAnotherServer) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto request = Statement("SELECT 1");
    request.mutable_options()->set_user("nobody_of_that_name");
    auto outcome = co_await t->Do(request);
    EXPECT_FALSE(outcome.result.has_value());
    if (outcome.result) co_return;
    EXPECT_EQ(outcome.result.error().sqlstate(), "28000");
    EXPECT_NE(outcome.result.error().code(), Code::kPreExecutionUnavailable);
    EXPECT_EQ(outcome.result.error().execution(), Execution::kDidNotExecute);
  });
}

TEST_F(FailoverPgTest, AWriteThatAStandbyRefusesIsToldFromOneThatTheClientForbade) {
  Sql("CREATE TABLE t (a int)");
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto forbidden = co_await t->Do(Statement("BEGIN READ ONLY; INSERT INTO t VALUES (1)"));
    EXPECT_FALSE(forbidden.result.has_value());
    if (forbidden.result) co_return;
    EXPECT_EQ(forbidden.result.error().sqlstate(), "25006");
    EXPECT_NE(forbidden.result.error().code(), Code::kReadOnly);
  });
  server_->Stop();
  std::ofstream(server_->data_dir() + "/standby.signal").close();
  ASSERT_TRUE(server_->StartAgain().has_value());
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto single = co_await t->Do(Statement("INSERT INTO t VALUES (1)"));
    EXPECT_FALSE(single.result.has_value());
    if (single.result) co_return;
    EXPECT_EQ(single.result.error().sqlstate(), "25006");
    EXPECT_EQ(single.result.error().code(), Code::kReadOnly);
    auto request = Statement("SELECT 1", 0, reason::kTransaction);
    request.mutable_reservation_options()->set_begin_query("BEGIN READ WRITE");
    auto block = co_await t->Do(request);
    EXPECT_FALSE(block.result.has_value());
    if (block.result) co_return;
    EXPECT_EQ(block.result.error().sqlstate(), "0A000");
    EXPECT_EQ(block.result.error().code(), Code::kReadOnly);
  });
}

}  // namespace
}  // namespace multigres::pooler::executor
