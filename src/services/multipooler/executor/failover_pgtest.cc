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
using multipoolerservice::CopyBidiExecuteRequest;
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

CopyBidiExecuteRequest Copy(std::string sql, CopyBidiExecuteRequest::Direction direction) {
  CopyBidiExecuteRequest request;
  request.set_query(std::move(sql));
  request.set_direction(direction);
  *request.mutable_options() = Options();
  return request;
}

const std::string kSleep = "SELECT pg_sleep(60)";
const std::string kSleeping = "FROM pg_stat_activity WHERE state = 'active' AND query = '" + kSleep + "'";
// Who commits behind a fence.
const std::string kWaiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

// A statement under way.
struct Running {
  StreamExecuteRequest request;
  std::optional<CopyBidiExecuteRequest> copy;  // set: that instead; what it reads is one row, "1"
  CancelToken cancel;
  CollectingSink sink;
  std::optional<ExecuteOutcome> outcome;
  Event ended{};  // NOLINT(readability-redundant-member-init): no implicit constructor
};

// A server of its own, and a pooler's executor on it.
class FailoverPgTest : public testing::Test {
 public:
  void SetUp() override {
    auto server =
        test::PostgresServer::Start({.settings = {{"max_prepared_transactions", "4"}}, .hba = {"local all all trust"}});
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
    const queryservice::CallScope scope{Deadline(), &running->cancel};
    if (running->copy) {
      running->outcome.emplace(co_await t->RunCopy(*running->copy, scope), nullptr);
    } else {
      running->outcome.emplace(co_await t->executor_->StreamExecute(running->request, scope, running->sink));
    }
    running->ended.Set();
  }
  Awaitable<Result<>> RunCopy(const CopyBidiExecuteRequest& initiate, queryservice::CallScope scope) {
    auto copy = co_await executor_->CopyBidiExecute(initiate, scope);
    if (!copy) co_return std::unexpected(std::move(copy.error()));
    multipoolerservice::CopyBidiExecuteResponse answer;
    auto received = co_await (*copy)->Receive(answer);
    if (received && initiate.direction() == CopyBidiExecuteRequest::FROM_STDIN) {
      CopyBidiExecuteRequest end;
      end.set_phase(CopyBidiExecuteRequest::DONE);
      end.set_data("1\n");
      (void)co_await (*copy)->Send(end);
    }
    while (received && *received) received = co_await (*copy)->Receive(answer);
    if (!received) co_return std::unexpected(std::move(received.error()));
    co_return Result<>();
  }
  void Start(Running& running) { tasks_->Spawn("statement", Execute(this, &running)); }
  Awaitable<ExecuteOutcome> Do(StreamExecuteRequest request) {
    CollectingSink sink;
    co_return co_await executor_->StreamExecute(request, {}, sink);
  }
  static Error FailureOf(const ExecuteOutcome& outcome) {
    EXPECT_FALSE(outcome.result.has_value());
    return outcome.result ? Error(Code::kUnknown, "it has succeeded") : outcome.result.error();
  }
  // Runs it to its end.
  Awaitable<Error> Failure(StreamExecuteRequest request) { co_return FailureOf(co_await Do(std::move(request))); }
  Awaitable<Error> Failure(Running& running) {
    const bool ended = co_await running.ended.WaitUntil(reactor_->clock(), reactor_->clock().After(20s));
    CHECK(ended, "the statement hangs");
    co_return FailureOf(*running.outcome);
  }
  // `backends`: it among them, once it runs.
  Awaitable<int> PidOf(std::string backends) {
    co_return std::atoi((co_await Eventually("SELECT pid " + backends)).c_str());
  }
  Awaitable<Error> FailureOnceKilled(Running& running, std::string backends) {
    Start(running);
    const int pid = co_await PidOf(std::move(backends));
    EXPECT_EQ(::kill(pid, SIGKILL), 0);
    co_return co_await Failure(running);
  }
  // A crash takes all connections with it, and then a while.
  void Restart() {
    server_->Kill();
    EXPECT_TRUE(server_->StartAgain().has_value());
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
    co_await t->Eventually("SELECT pg_cancel_backend(pid) " + kWaiting);
    const Error error = co_await t->Failure(insert);
    EXPECT_EQ(error.sqlstate(), mterrors::kOutcomeUnknown);
    EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
    EXPECT_NE(Notices(insert).find("canceling wait for synchronous replication"), std::string::npos);
    // It is there, and would have been called committed.
    EXPECT_EQ(co_await t->Eventually("SELECT count(*) FROM t"), "1");
  });
}

// Whoever cancels it. A COPY TO may be of a statement that writes.
TEST_F(FailoverPgTest, ACopyWhoseWaitForStandbysIsCancelledIsAnUnknownOutcome) {
  Sql("CREATE TABLE t (a int)");
  Fence();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    int rows = 0;
    for (const auto& copy :
         {Copy("COPY t FROM STDIN", CopyBidiExecuteRequest::FROM_STDIN),
          Copy("COPY (INSERT INTO t VALUES (1) RETURNING a) TO STDOUT", CopyBidiExecuteRequest::TO_STDOUT)}) {
      for (const bool by_client : {true, false}) {
        Running running{.copy = copy};
        t->Start(running);
        co_await t->PidOf(kWaiting);
        if (by_client) {
          running.cancel.Cancel(CancelReason::kCancelled);
        } else {
          co_await t->Eventually("SELECT pg_cancel_backend(pid) " + kWaiting);
        }
        const Error error = co_await t->Failure(running);
        EXPECT_EQ(error.sqlstate(), mterrors::kOutcomeUnknown) << copy.query() << ": " << error.ToString();
        EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
        EXPECT_EQ(co_await t->Eventually("SELECT count(*) FROM t"), std::to_string(++rows));
      }
    }
  });
}

TEST_F(FailoverPgTest, ACopyThatIsCancelledBeforeItHasBegunIsCancelled) {
  Sql("CREATE TABLE t (a int)");
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto locked = co_await t->Do(Statement("LOCK TABLE t", 0, reason::kTransaction));
    EXPECT_TRUE(locked.result.has_value());
    for (const auto reason : {CancelReason::kCancelled, CancelReason::kDeadline}) {
      Running running{.copy = Copy("COPY t FROM STDIN", CopyBidiExecuteRequest::FROM_STDIN)};
      t->Start(running);
      co_await t->Eventually("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
      running.cancel.Cancel(reason);
      const Error error = co_await t->Failure(running);
      EXPECT_EQ(error.message(), reason == CancelReason::kDeadline ? mterrors::StatementTimeout().message()
                                                                   : mterrors::CanceledByUser().message());
      EXPECT_EQ(error.sqlstate(), mterrors::kQueryCanceled);
    }
  });
}

TEST_F(FailoverPgTest, ACommitWhoseWaitIsCancelledIsAnUnknownOutcome) {
  Sql("CREATE TABLE t (a int)");
  Fence();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto begun = co_await t->Do(Statement("INSERT INTO t VALUES (1)", 0, reason::kTransaction));
    EXPECT_TRUE(begun.result.has_value());
    if (!begun.result) co_return;
    ConcludeTransactionRequest request;
    *request.mutable_options() = Options(begun.reserved_state->reserved_connection_id());
    request.set_conclusion(multipoolerservice::TRANSACTION_CONCLUSION_COMMIT);
    const auto cancel = [](FailoverPgTest* t) -> Awaitable<void> {
      co_await t->Eventually("SELECT pg_cancel_backend(pid) " + kWaiting);
    };
    t->tasks_->Spawn("cancel", cancel(t));
    auto concluded = co_await t->executor_->ConcludeTransaction(request, {t->reactor_->clock().After(20s), nullptr});
    EXPECT_FALSE(concluded.has_value());
    if (concluded) co_return;
    EXPECT_EQ(concluded.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_NE(concluded.error().message().find("outcome of the statement is unknown"), std::string::npos);
    EXPECT_EQ(t->executor_->reservations().size(), 0U);
  });
}

TEST_F(FailoverPgTest, AStatementThatIsTerminatedInItsWaitMayHaveRun) {
  Sql("CREATE TABLE t (a int)");
  Fence();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    Running insert{.request = Statement("INSERT INTO t VALUES (1)")};
    t->Start(insert);
    co_await t->Eventually("SELECT pg_terminate_backend(pid) " + kWaiting);
    // PostgreSQL warns, commits, and goes without another word.
    const Error error = co_await t->Failure(insert);
    EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
    EXPECT_NE(error.code(), Code::kPreExecutionUnavailable);
    EXPECT_NE(Notices(insert).find("canceling the wait for synchronous replication"), std::string::npos);
    EXPECT_EQ(co_await t->Eventually("SELECT count(*) FROM t"), "1");
  });
}

// PostgreSQL may be committing, and too busy to be cancelled.
TEST_F(FailoverPgTest, AStatementThatDoesNotHeedItsCancelMayHaveRunUnlessATransactionShieldsIt) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    for (const bool in_block : {false, true}) {
      std::uint64_t id = 0;
      if (in_block) {
        auto begun = co_await t->Do(Statement("SELECT 1", 0, reason::kTransaction));
        EXPECT_TRUE(begun.reserved_state != nullptr);
        if (begun.reserved_state == nullptr) co_return;
        id = begun.reserved_state->reserved_connection_id();
      }
      Running running{.request = Statement(kSleep, id)};
      t->Start(running);
      const int pid = co_await t->PidOf(kSleeping);
      EXPECT_EQ(::kill(pid, SIGSTOP), 0);
      running.cancel.Cancel(CancelReason::kCancelled);
      const Error error = co_await t->Failure(running);
      EXPECT_EQ(error.sqlstate(), in_block ? mterrors::kQueryCanceled : mterrors::kOutcomeUnknown);
      EXPECT_EQ(::kill(pid, SIGCONT), 0);
      co_await t->Eventually("SELECT 1 WHERE NOT EXISTS (SELECT " + kSleeping + ")");
    }
  });
}

TEST_F(FailoverPgTest, AStatementWhoseBackendIsKilledMayHaveRun) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    Running statement{.request = Statement(kSleep)};
    const Error error = co_await t->FailureOnceKilled(statement, kSleeping);
    EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
    EXPECT_NE(error.code(), Code::kPreExecutionUnavailable);
  });
}

TEST_F(FailoverPgTest, TheFirstStatementOfABlockWhoseBackendIsKilledCountsAsNotRun) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    Running statement{.request = Statement(kSleep, 0, reason::kTransaction)};
    const Error error = co_await t->FailureOnceKilled(statement, kSleeping);
    EXPECT_EQ(error.code(), Code::kPreExecutionUnavailable);
    EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
    EXPECT_EQ(statement.outcome->reserved_state, nullptr);
  });
}

// Not so what survives its backend.
TEST_F(FailoverPgTest, ATransactionThatIsBeingPreparedMayHaveBeen) {
  Fence();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    for (const bool first : {true, false}) {
      std::uint64_t id = 0;
      if (!first) {
        auto begun = co_await t->Do(Statement("SELECT 1", 0, reason::kTransaction));
        EXPECT_TRUE(begun.reserved_state != nullptr);
        if (begun.reserved_state == nullptr) co_return;
        id = begun.reserved_state->reserved_connection_id();
      }
      Running prepare{.request = Statement(first ? "PREPARE TRANSACTION 'first'" : "Prepare Transaction 'later'", id,
                                           reason::kTransaction)};
      const Error error = co_await t->FailureOnceKilled(prepare, kWaiting);
      EXPECT_EQ(error.execution(), Execution::kMayHaveExecuted);
      EXPECT_EQ(error.code(), Code::kUnavailable);
      EXPECT_NE(error.sqlstate(), mterrors::kSerializationFailure);
      t->Restart();
      EXPECT_EQ(co_await t->Eventually("SELECT count(*) FROM pg_prepared_xacts"), first ? "1" : "2");
    }
  });
}

TEST_F(FailoverPgTest, ASessionsStatementWhoseBackendIsKilledIsUnknownOutsideABlockAndUndoneInside) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    for (const bool in_block : {true, false}) {
      const std::uint32_t reason = in_block ? reason::kTransaction : reason::kSessionAdvisoryLock;
      auto reserved = co_await t->Do(Statement("SELECT 1", 0, reason));
      EXPECT_TRUE(reserved.reserved_state != nullptr);
      if (reserved.reserved_state == nullptr) co_return;
      Running statement{.request = Statement(kSleep, reserved.reserved_state->reserved_connection_id())};
      const Error error = co_await t->FailureOnceKilled(statement, kSleeping);
      EXPECT_EQ(error.sqlstate(), in_block ? "40001" : mterrors::kOutcomeUnknown);
      t->Restart();
    }
  });
}

TEST_F(FailoverPgTest, AServerThatIsDownHasRunNothing) {
  server_->Kill();
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    for (const std::uint32_t reasons : {std::uint32_t{0}, reason::kTransaction}) {
      const Error error = co_await t->Failure(Statement("SELECT 1", 0, reasons));
      EXPECT_EQ(error.code(), Code::kPreExecutionUnavailable);
      EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
    }
  });
}

TEST_F(FailoverPgTest, AnIdleConnectionThatDiedIsReplacedUnnoticed) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    EXPECT_TRUE((co_await t->Do(Statement("SELECT 1"))).result.has_value());
    t->Restart();
    EXPECT_TRUE((co_await t->Do(Statement("SELECT 1"))).result.has_value());
  });
}

TEST_F(FailoverPgTest, AFrozenServerIsUnreachableNotOutOfTime) {
  ASSERT_EQ(::kill(server_->pid(), SIGSTOP), 0);
  config_.dial_timeout = 100ms;
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    EXPECT_EQ((co_await t->Failure(Statement("SELECT 1"))).code(), Code::kPreExecutionUnavailable);
  });
  ASSERT_EQ(::kill(server_->pid(), SIGCONT), 0);
}

TEST_F(FailoverPgTest, ARoleThatMayNotLogInIsNoReasonToLookForAnotherServer) {
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    auto request = Statement("SELECT 1");
    request.mutable_options()->set_user("nobody_of_that_name");
    const Error error = co_await t->Failure(std::move(request));
    EXPECT_EQ(error.sqlstate(), "28000");
    EXPECT_NE(error.code(), Code::kPreExecutionUnavailable);
    EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
  });
}

TEST_F(FailoverPgTest, AWriteThatAStandbyRefusesIsToldFromOneThatTheClientForbade) {
  Sql("CREATE TABLE t (a int)");
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    const Error forbidden = co_await t->Failure(Statement("BEGIN READ ONLY; INSERT INTO t VALUES (1)"));
    EXPECT_EQ(forbidden.sqlstate(), "25006");
    EXPECT_NE(forbidden.code(), Code::kReadOnly);
  });
  server_->Stop();
  std::ofstream(server_->data_dir() + "/standby.signal").close();
  ASSERT_TRUE(server_->StartAgain().has_value());
  Run([](FailoverPgTest* t) -> Awaitable<void> {
    const Error single = co_await t->Failure(Statement("INSERT INTO t VALUES (1)"));
    EXPECT_EQ(single.sqlstate(), "25006");
    EXPECT_EQ(single.code(), Code::kReadOnly);
    auto request = Statement("SELECT 1", 0, reason::kTransaction);
    request.mutable_reservation_options()->set_begin_query("BEGIN READ WRITE");
    const Error block = co_await t->Failure(std::move(request));
    EXPECT_EQ(block.sqlstate(), "0A000");
    EXPECT_EQ(block.code(), Code::kReadOnly);
  });
}

}  // namespace
}  // namespace multigres::pooler::executor
