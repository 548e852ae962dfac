#include "services/multipooler/executor/executor.h"

#include <gtest/gtest.h>

#include "common/pgwire/backend.h"
#include "common/pgwire/framing.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/result_pump.h"
#include "services/multipooler/executor/superuser_pgtest.h"
#include "tools/result/check.h"

namespace multigres::pooler::executor {
namespace {

using namespace std::chrono_literals;
using multipoolerservice::ConcludeTransactionRequest;
using multipoolerservice::CopyBidiExecuteRequest;
using multipoolerservice::CopyBidiExecuteResponse;
using multipoolerservice::PortalStreamExecuteRequest;
using multipoolerservice::ReleaseReservedConnectionRequest;
using multipoolerservice::StreamExecuteRequest;
using queryservice::ExecuteOutcome;

// One reactor of a pooler over the shared server.
struct Pooler {
  explicit Pooler(Reactor& reactor, std::size_t capacity = 4)
      : reactor(reactor), random(SystemRandom()), budget(capacity) {
    auto& server = test::PostgresServer::Shared();
    config.address = UnixAddress{server.socket_path()};
    config.database = "postgres";
    config.admin_user = server.user();
    config.admin_password = server.password();
    config.global_capacity = capacity;
    config.prepared_per_backend = 3;
    pools = std::make_unique<connpool::PoolSet>(reactor, config, budget, *random, Logger(), 2);
    executor = std::make_unique<Executor>(*pools, 3, ExecutorConfig{}, Logger());
    pools->Start();
    executor->Start();
  }
  Awaitable<void> Stop() {
    co_await executor->Stop();
    co_await pools->Stop();
  }

  Reactor& reactor;
  std::unique_ptr<Random> random;
  connpool::PermitBudget budget;
  connpool::PoolConfig config;
  std::unique_ptr<connpool::PoolSet> pools;
  std::unique_ptr<Executor> executor;
};

// Keeps a stream's payloads, rows decoded.
class Recorder final : public queryservice::ResultSink {
 public:
  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override {
    if (payload.has_diagnostic()) notices.push_back(payload.diagnostic().message());
    if (payload.has_result()) Take(payload.result());
    if (stop_after_first) co_return Fail(Code::kCanceled, "enough");
    co_return Result<>{};
  }
  void Take(const ::query::QueryResult& result) {
    for (const auto& [name, value] : result.parameter_status()) parameters[name] = value;
    if (result.has_fields()) {
      fields.clear();
      for (const auto& field : result.fields()) fields.push_back(field.name());
    }
    bytes.append(result.passthrough_block());
    completed += result.passthrough_row_count();
    if (!result.command_tag().empty()) tags.push_back(result.command_tag());
    ++chunks;
  }
  std::vector<std::string> FirstColumn() const {
    std::vector<std::string> column;
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const auto frame = pgwire::PeekFrame(rest);
      if (!frame || !*frame) {
        column.push_back("<torn>");
        break;
      }
      auto row = pgwire::ReadDataRow((*frame)->body);
      const auto first = row && row->size() > 0 ? *row->begin() : std::nullopt;
      column.push_back(first ? std::string(*first) : "<null>");
      rest.remove_prefix((*frame)->size());
    }
    return column;
  }

  std::string bytes;
  std::uint32_t completed = 0;
  int chunks = 0;
  bool stop_after_first = false;
  std::vector<std::string> fields;
  std::vector<std::string> tags;
  std::vector<std::string> notices;
  std::map<std::string, std::string> parameters;
};

::query::ExecuteOptions Options(std::uint64_t reserved = 0) {
  ::query::ExecuteOptions options;
  testing::FillSuperuser(options);
  options.set_passthrough_row(true);
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

std::uint64_t IdOf(const ExecuteOutcome& outcome) {
  return outcome.reserved_state == nullptr ? 0 : outcome.reserved_state->reserved_connection_id();
}

std::string StateOf(const Result<>& result) {
  return result ? "ok" : result.error().sqlstate();
}

Awaitable<std::string> Scalar(Pooler& pooler, StreamExecuteRequest request) {
  Recorder recorder;
  auto outcome = co_await pooler.executor->StreamExecute(request, {}, recorder);
  if (!outcome.result) co_return "error " + outcome.result.error().sqlstate();
  const auto column = recorder.FirstColumn();
  co_return column.empty() ? "no rows" : column.front();
}

void WithPooler(Awaitable<void> (*body)(Pooler&), std::size_t capacity = 4) {
  Reactor reactor;
  RunOnReactor(reactor,
               [](Reactor& reactor, Awaitable<void> (*body)(Pooler&), std::size_t capacity) -> Awaitable<void> {
                 Pooler pooler(reactor, capacity);
                 co_await body(pooler);
                 co_await pooler.Stop();
               }(reactor, body, capacity));
}

TEST(Executor, RunsAStatementAndGivesTheConnectionBack) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    auto request = Statement("SELECT g AS n FROM generate_series(1, 3) g");
    auto outcome = co_await pooler.executor->StreamExecute(request, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "ok") << outcome.result.error().ToString();
    EXPECT_EQ(recorder.FirstColumn(), (std::vector<std::string>{"1", "2", "3"}));
    EXPECT_EQ(recorder.fields, std::vector<std::string>{"n"});
    EXPECT_EQ(recorder.tags, std::vector<std::string>{"SELECT 3"});
    EXPECT_EQ(recorder.chunks, 1) << "a small result is one message";
    EXPECT_EQ(IdOf(outcome), 0u);
    EXPECT_EQ(pooler.pools->Stats().front().stats.idle, 1u);
  });
}

TEST(Executor, AnErrorKeepsTheConnectionAndItsOwnDiagnostic) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    auto request = Statement("SELECT 1/0");
    auto outcome = co_await pooler.executor->StreamExecute(request, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "22012");
    EXPECT_NE(outcome.result.error().diagnostic(), nullptr);
    EXPECT_EQ(pooler.pools->Stats().front().stats.idle, 1u);
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 2")), "2");
    EXPECT_EQ(pooler.pools->Stats().front().stats.open, 1u);
  });
}

TEST(Executor, ABackendWearsTheRequestsSettingsAndNoOthers) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    auto with = Statement("SHOW work_mem");
    (*with.mutable_options()->mutable_session_settings())["work_mem"] = "7MB";
    (*with.mutable_options()->mutable_session_settings())["application_name"] = "one";
    EXPECT_EQ(co_await Scalar(pooler, with), "7MB");
    EXPECT_EQ(co_await Scalar(pooler, Statement("SHOW work_mem")), "4MB");
    with.set_query("SELECT current_setting('work_mem') || ' ' || current_setting('application_name')");
    EXPECT_EQ(co_await Scalar(pooler, with), "7MB one");
    EXPECT_EQ(co_await Scalar(pooler, Statement("SHOW application_name")), "");
    EXPECT_LE(pooler.pools->Stats().front().stats.open, 2u);
  });
}

TEST(Executor, ASettingThatIsRefusedStopsTheStatement) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    EXPECT_EQ(co_await Scalar(pooler, Statement("CREATE TABLE IF NOT EXISTS not_run(v int); DROP TABLE not_run")),
              "no rows");
    auto with = Statement("CREATE TABLE not_run(v int)");
    (*with.mutable_options()->mutable_session_settings())["work_mem"] = "nonsense";
    EXPECT_EQ(co_await Scalar(pooler, with), "error 22023");
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM pg_class WHERE relname = 'not_run'")), "0");
  });
}

TEST(Executor, ATransactionHoldsItsBackendUntilItsConclusion) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    (void)co_await Scalar(pooler, Statement("CREATE TABLE IF NOT EXISTS held(v int); TRUNCATE held"));
    Recorder recorder;
    auto insert = Statement("INSERT INTO held VALUES (1)", 0, reason::kTransaction);
    auto outcome = co_await pooler.executor->StreamExecute(insert, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "ok");
    EXPECT_EQ(recorder.tags, std::vector<std::string>{"INSERT 0 1"}) << "the BEGIN shows nothing";
    const auto id = IdOf(outcome);
    EXPECT_NE(id, 0u);
    EXPECT_EQ(ReservationTable::ReactorIndexOf(id), 3);
    EXPECT_EQ(outcome.reserved_state->reservation_reasons(), reason::kTransaction);
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM held")), "0");
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM held", id)), "1");
    ConcludeTransactionRequest conclude;
    *conclude.mutable_options() = Options(id);
    conclude.set_conclusion(multipoolerservice::TRANSACTION_CONCLUSION_COMMIT);
    auto concluded = co_await pooler.executor->ConcludeTransaction(conclude, {});
    EXPECT_TRUE(concluded);
    EXPECT_EQ(concluded->result().command_tag(), "COMMIT");
    EXPECT_FALSE(concluded->has_reserved_state());
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM held")), "1");
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 1", id)), "error 40001");
    EXPECT_EQ(pooler.executor->reservations().size(), 0u);
  });
}

TEST(Executor, AFailedFirstStatementKeepsTheTransactionForItsRollback) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    auto statement = Statement("SELECT 1/0", 0, reason::kTransaction);
    auto outcome = co_await pooler.executor->StreamExecute(statement, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "22012");
    const auto id = IdOf(outcome);
    EXPECT_NE(id, 0u);
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 1", id)), "error 25P02");
    ConcludeTransactionRequest conclude;
    *conclude.mutable_options() = Options(id);
    conclude.set_conclusion(multipoolerservice::TRANSACTION_CONCLUSION_COMMIT);
    conclude.mutable_rollback_session_settings();
    auto concluded = co_await pooler.executor->ConcludeTransaction(conclude, {});
    EXPECT_TRUE(concluded);
    EXPECT_EQ(concluded->result().command_tag(), "ROLLBACK");
    EXPECT_EQ(pooler.pools->Stats().front().stats.lent, 0u);
  });
}

TEST(Executor, ABeginThatFailsLeavesNothingBehind) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    auto statement = Statement("CREATE TABLE never_made(v int)", 0, reason::kTransaction);
    statement.mutable_reservation_options()->set_begin_query("BEGIN ISOLATION LEVEL NONSENSE");
    auto outcome = co_await pooler.executor->StreamExecute(statement, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "42601");
    EXPECT_EQ(IdOf(outcome), 0u);
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM pg_class WHERE relname = 'never_made'")), "0");
    EXPECT_EQ(pooler.pools->Stats().front().stats.lent, 0u);
  });
}

PortalStreamExecuteRequest PortalOf(std::string sql, std::vector<std::string> parameters, std::uint64_t reserved = 0) {
  PortalStreamExecuteRequest request;
  request.mutable_prepared_statement()->set_query(std::move(sql));
  for (const auto& parameter : parameters) {
    request.mutable_portal()->add_param_lengths(static_cast<std::int64_t>(parameter.size()));
    request.mutable_portal()->mutable_param_values()->append(parameter);
  }
  *request.mutable_options() = Options(reserved);
  return request;
}

TEST(Executor, PreparesAStatementOncePerBackendAndClosesWhatFallsOut) {
  WithPooler(
      [](Pooler& pooler) -> Awaitable<void> {
        for (int round = 0; round < 3; ++round) {
          for (int i = 0; i < 5; ++i) {
            Recorder recorder;
            auto request = PortalOf("SELECT $1::int + " + std::to_string(i), {"10"});
            request.mutable_portal_options()->set_include_describe(true);
            auto outcome = co_await pooler.executor->PortalStreamExecute(request, {}, recorder);
            EXPECT_EQ(StateOf(outcome.result), "ok");
            EXPECT_EQ(recorder.FirstColumn(), std::vector<std::string>{std::to_string(10 + i)});
            EXPECT_EQ(recorder.fields, std::vector<std::string>{"?column?"});
          }
        }
        // Three fit; one more may be waiting for its Close.
        EXPECT_LE(std::stoi(co_await Scalar(pooler, Statement("SELECT count(*) FROM pg_prepared_statements"))), 4);
      },
      1);
}

TEST(Executor, HealsAPlanWhoseResultTypeChanged) {
  WithPooler(
      [](Pooler& pooler) -> Awaitable<void> {
        (void)co_await Scalar(pooler, Statement("DROP TABLE IF EXISTS changing; CREATE TABLE changing(a int);"
                                                "INSERT INTO changing VALUES (1)"));
        Recorder before;
        auto request = PortalOf("SELECT * FROM changing", {});
        auto outcome = co_await pooler.executor->PortalStreamExecute(request, {}, before);
        EXPECT_EQ(StateOf(outcome.result), "ok");
        (void)co_await Scalar(pooler, Statement("ALTER TABLE changing ADD COLUMN b text DEFAULT 'x'"));
        Recorder after;
        outcome = co_await pooler.executor->PortalStreamExecute(request, {}, after);
        EXPECT_EQ(StateOf(outcome.result), "ok");
        EXPECT_EQ(after.completed, 1u);
      },
      1);
}

TEST(Executor, ASuspendedPortalResumesWhereItStopped) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    auto request = PortalOf("SELECT g FROM generate_series(1, 5) g", {});
    request.mutable_portal()->set_name("c1");
    request.mutable_options()->set_max_rows(2);
    request.mutable_portal_options()->set_hold_sync(true);
    std::vector<std::string> seen;
    std::uint64_t id = 0;
    for (int trip = 0; trip < 3; ++trip) {
      Recorder recorder;
      request.mutable_options()->set_reserved_connection_id(id);
      request.mutable_portal_options()->set_resume(trip > 0);
      auto outcome = co_await pooler.executor->PortalStreamExecute(request, {}, recorder);
      EXPECT_EQ(StateOf(outcome.result), "ok");
      for (auto& value : recorder.FirstColumn()) seen.push_back(value);
      EXPECT_EQ(recorder.tags.empty(), trip < 2) << "suspended until the last row is read";
      id = IdOf(outcome);
      EXPECT_NE(id, 0u);
    }
    EXPECT_EQ(seen, (std::vector<std::string>{"1", "2", "3", "4", "5"}));
    ConcludeTransactionRequest sync;
    *sync.mutable_options() = Options(id);
    sync.set_conclusion(multipoolerservice::TRANSACTION_CONCLUSION_SYNC);
    auto concluded = co_await pooler.executor->ConcludeTransaction(sync, {});
    EXPECT_TRUE(concluded);
    EXPECT_EQ(pooler.executor->reservations().size(), 0u);
  });
}

TEST(Executor, APortalsNameCanBeBoundAgainInItsTransaction) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder ignored;
    auto begin = Statement("SELECT 1", 0, reason::kTransaction);
    auto begun = co_await pooler.executor->StreamExecute(begin, {}, ignored);
    const std::uint64_t id = IdOf(begun);
    for (const char* sql : {"SELECT 'first'", "SELECT 'second'"}) {
      auto request = PortalOf(sql, {});
      request.mutable_portal()->set_name("again");
      request.mutable_options()->set_reserved_connection_id(id);
      multipoolerservice::DescribeRequest describe;
      *describe.mutable_options() = request.options();
      *describe.mutable_prepared_statement() = request.prepared_statement();
      *describe.mutable_portal() = request.portal();
      EXPECT_TRUE(co_await pooler.executor->Describe(describe, {}));
      Recorder recorder;
      auto outcome = co_await pooler.executor->PortalStreamExecute(request, {}, recorder);
      EXPECT_EQ(StateOf(outcome.result), "ok");
      EXPECT_EQ(recorder.FirstColumn().size(), 1u);
    }
  });
}

TEST(Executor, ASuspendedPortalCanBeDescribed) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    auto request = PortalOf("SELECT g AS number FROM generate_series(1, 5) g", {});
    request.mutable_portal()->set_name("c2");
    request.mutable_options()->set_max_rows(2);
    request.mutable_portal_options()->set_hold_sync(true);
    Recorder first;
    auto outcome = co_await pooler.executor->PortalStreamExecute(request, {}, first);
    request.mutable_options()->set_reserved_connection_id(IdOf(outcome));
    request.mutable_portal_options()->set_resume(true);
    request.mutable_portal_options()->set_include_describe(true);
    Recorder second;
    outcome = co_await pooler.executor->PortalStreamExecute(request, {}, second);
    EXPECT_EQ(StateOf(outcome.result), "ok");
    EXPECT_EQ(second.fields, std::vector<std::string>{"number"});
    EXPECT_EQ(second.FirstColumn(), (std::vector<std::string>{"3", "4"}));
  });
}

TEST(Executor, ColumnsComeBeforeTheNoticeOrErrorOfTheFirstRow) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    auto request = Statement("SELECT current_setting('no.such') AS setting");
    auto outcome = co_await pooler.executor->StreamExecute(request, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "42704");
    EXPECT_EQ(recorder.fields, std::vector<std::string>{"setting"});
  });
}

TEST(Executor, AnErrorInAHeldPipelineRollsItAllBack) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    (void)co_await Scalar(pooler, Statement("CREATE TABLE IF NOT EXISTS piped(v int); TRUNCATE piped"));
    auto first = PortalOf("INSERT INTO piped VALUES (1)", {});
    first.mutable_portal_options()->set_hold_sync(true);
    Recorder recorder;
    auto outcome = co_await pooler.executor->PortalStreamExecute(first, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "ok");
    const auto id = IdOf(outcome);
    EXPECT_NE(id, 0u);
    auto second = PortalOf("SELECT 1/0", {}, id);
    second.mutable_portal_options()->set_hold_sync(true);
    outcome = co_await pooler.executor->PortalStreamExecute(second, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "22012");
    EXPECT_EQ(IdOf(outcome), 0u);
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM piped")), "0");
  });
}

TEST(Executor, ALargeResultComesInBlocksOfWholeBytes) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    auto request = Statement("SELECT repeat('x', 1000) FROM generate_series(1, 10000)");
    auto outcome = co_await pooler.executor->StreamExecute(request, {}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "ok");
    EXPECT_EQ(recorder.completed, 10000u);
    EXPECT_EQ(recorder.FirstColumn().size(), 10000u);
    EXPECT_GT(recorder.chunks, 3);
    Recorder big;
    request = Statement("SELECT repeat('y', 9000000)");
    outcome = co_await pooler.executor->StreamExecute(request, {}, big);
    EXPECT_EQ(big.completed, 1u);
    EXPECT_EQ(big.FirstColumn().front().size(), 9000000u);
  });
}

Awaitable<void> CancelWhenRunning(Pooler& pooler, CancelToken& token, CancelReason reason) {
  while (co_await Scalar(pooler, Statement("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
                                           " AND state = 'active'")) != "1") {
  }
  token.Cancel(reason);
}

TEST(Executor, ACancelEndsTheStatementAndSparesTheConnection) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    for (const auto reason : {CancelReason::kCancelled, CancelReason::kDeadline}) {
      CancelToken token;
      TaskGroup tasks(pooler.reactor.executor());
      tasks.Spawn("canceller", CancelWhenRunning(pooler, token, reason));
      Recorder recorder;
      auto request = Statement("SELECT pg_sleep(60)");
      auto outcome = co_await pooler.executor->StreamExecute(request, {Deadline(), &token}, recorder);
      EXPECT_EQ(StateOf(outcome.result), "57014");
      EXPECT_NE(outcome.result.error().message().find(reason == CancelReason::kDeadline ? "statement timeout"
                                                                                        : "user request"),
                std::string::npos);
      co_await tasks.Join();
    }
    const auto stats = pooler.pools->Stats().front().stats;
    EXPECT_EQ(stats.lent, 0u);
    EXPECT_EQ(stats.idle, stats.open);
  });
}

// A statement that comes while another still runs on its reservation.
Awaitable<void> RunWhileBusy(Pooler& pooler, std::uint64_t id, std::string& state) {
  while (!pooler.executor->reservations().Find("postgres", id)->busy) co_await SleepFor(pooler.reactor.clock(), 1ms);
  auto request = Statement("SELECT 2", id);
  Recorder recorder;
  auto outcome =
      co_await pooler.executor->StreamExecute(request, {pooler.reactor.clock().After(10s), nullptr}, recorder);
  state = StateOf(outcome.result);
}

TEST(Executor, AStatementWaitsForTheOneBeforeItToBeCancelled) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder ignored;
    auto begin = Statement("SELECT 1", 0, reason::kTransaction);
    auto begun = co_await pooler.executor->StreamExecute(begin, {}, ignored);
    CancelToken token;
    TaskGroup tasks(pooler.reactor.executor());
    tasks.Spawn("canceller", CancelWhenRunning(pooler, token, CancelReason::kCancelled));
    auto sleeping = Statement("SELECT pg_sleep(60)", IdOf(begun));
    std::string state;
    tasks.Spawn("next", RunWhileBusy(pooler, IdOf(begun), state));
    Recorder recorder;
    auto outcome = co_await pooler.executor->StreamExecute(sleeping, {Deadline(), &token}, recorder);
    EXPECT_EQ(StateOf(outcome.result), "57014");
    co_await tasks.Join();
    EXPECT_EQ(state, "25P02") << "in the transaction that the cancel has failed";
  });
}

TEST(Executor, ASinkThatFailsEndsItsStatement) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    recorder.stop_after_first = true;
    auto request = Statement("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)");
    auto outcome = co_await pooler.executor->StreamExecute(request, {}, recorder);
    EXPECT_FALSE(outcome.result);
    EXPECT_EQ(recorder.chunks, 1);
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 5")), "5");
  });
}

TEST(Executor, WaitersAreServedInTurnAndAFullPoolOnlyQueues) {
  WithPooler(
      [](Pooler& pooler) -> Awaitable<void> {
        TaskGroup tasks(pooler.reactor.executor());
        std::vector<int> order;
        auto one = [](Pooler& pooler, std::vector<int>& order, int i) -> Awaitable<void> {
          EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 1")), "1");
          order.push_back(i);
        };
        for (int i = 0; i < 20; ++i) tasks.Spawn("client", one(pooler, order, i));
        co_await tasks.Join();
        EXPECT_EQ(order.size(), 20u);
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
        EXPECT_EQ(pooler.pools->Stats().front().stats.open, 1u);
      },
      1);
}

TEST(Executor, AWaitEndsAtItsDeadlineWithNothingRun) {
  WithPooler(
      [](Pooler& pooler) -> Awaitable<void> {
        Recorder recorder;
        auto hold = Statement("SELECT 1", 0, reason::kTransaction);
        auto held = co_await pooler.executor->StreamExecute(hold, {}, recorder);
        EXPECT_NE(IdOf(held), 0u);
        auto request = Statement("SELECT 2");
        auto outcome =
            co_await pooler.executor->StreamExecute(request, {pooler.reactor.clock().After(20ms), nullptr}, recorder);
        EXPECT_EQ(StateOf(outcome.result), "57014");
        EXPECT_EQ(outcome.result.error().execution(), Execution::kDidNotExecute);
        ReleaseReservedConnectionRequest release;
        *release.mutable_options() = Options(IdOf(held));
        EXPECT_TRUE(co_await pooler.executor->ReleaseReservedConnection(release, {}));
        EXPECT_EQ(co_await Scalar(pooler, request), "2");
      },
      1);
}

TEST(Executor, ATerminatedBackendEndsOnlyItsReservation) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    Recorder recorder;
    auto statement = Statement("SELECT 1", 0, reason::kTransaction);
    auto outcome = co_await pooler.executor->StreamExecute(statement, {}, recorder);
    const auto id = IdOf(outcome);
    const auto pid = std::to_string(outcome.reserved_state->backend_process_id());
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT pg_terminate_backend(" + pid + ", 5000)")), "t");
    const auto seen = co_await Scalar(pooler, Statement("SELECT 2", id));
    EXPECT_TRUE(seen == "error 57P01" || seen == "error 40001") << seen;
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 3", id)), "error 40001");
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 4")), "4");
  });
}

TEST(Executor, AnIdleBackendThatWasClosedIsReplacedUnseen) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    const auto pid = co_await Scalar(pooler, Statement("SELECT pg_backend_pid()"));
    EXPECT_EQ(test::PostgresServer::Shared().Psql("SELECT pg_terminate_backend(" + pid + ", 5000)").value_or(""), "t");
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT 1")), "1");
  });
}

TEST(Executor, TemporaryTablesNeverReachAnotherSession) {
  WithPooler(
      [](Pooler& pooler) -> Awaitable<void> {
        Recorder recorder;
        auto create = Statement("CREATE TEMP TABLE mine(v int)", 0, reason::kTempTable);
        auto outcome = co_await pooler.executor->StreamExecute(create, {}, recorder);
        const auto id = IdOf(outcome);
        EXPECT_NE(id, 0u);
        ReleaseReservedConnectionRequest release;
        *release.mutable_options() = Options(id);
        EXPECT_TRUE(co_await pooler.executor->ReleaseReservedConnection(release, {}));
        EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM pg_class WHERE relname = 'mine'")), "0");
      },
      1);
}

Awaitable<std::vector<CopyBidiExecuteResponse>> ReadAll(queryservice::CopyStream& copy, std::string& error) {
  std::vector<CopyBidiExecuteResponse> messages;
  while (true) {
    CopyBidiExecuteResponse message;
    auto received = co_await copy.Receive(message);
    if (!received) {
      error = received.error().sqlstate();
      break;
    }
    if (!*received) break;
    messages.push_back(std::move(message));
  }
  co_return messages;
}

TEST(Executor, CopiesInAndOut) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    (void)co_await Scalar(pooler, Statement("CREATE TABLE IF NOT EXISTS copied(v int); TRUNCATE copied"));
    CopyBidiExecuteRequest in;
    in.set_query("COPY copied FROM STDIN");
    *in.mutable_options() = Options();
    auto copy = co_await pooler.executor->CopyBidiExecute(in, {});
    EXPECT_TRUE(copy);
    CopyBidiExecuteResponse ready;
    EXPECT_TRUE(co_await (*copy)->Receive(ready));
    EXPECT_EQ(ready.phase(), CopyBidiExecuteResponse::READY);
    EXPECT_EQ(ready.reserved_state().reservation_reasons(), reason::kCopy);
    CopyBidiExecuteRequest data;
    data.set_phase(CopyBidiExecuteRequest::DATA);
    data.set_data("1\n2\n");
    EXPECT_TRUE(co_await (*copy)->Send(data));
    data.set_phase(CopyBidiExecuteRequest::DONE);
    data.set_data("3\n");
    EXPECT_TRUE(co_await (*copy)->Send(data));
    std::string error;
    auto rest = co_await ReadAll(**copy, error);
    EXPECT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest.back().result().command_tag(), "COPY 3");
    EXPECT_FALSE(rest.back().has_reserved_state());

    CopyBidiExecuteRequest out;
    out.set_query("COPY copied TO STDOUT");
    out.set_direction(CopyBidiExecuteRequest::TO_STDOUT);
    *out.mutable_options() = Options();
    copy = co_await pooler.executor->CopyBidiExecute(out, {});
    EXPECT_TRUE(copy);
    rest = co_await ReadAll(**copy, error);
    std::string text;
    for (const auto& message : rest) text += message.data();
    EXPECT_EQ(text, "1\n2\n3\n");
    EXPECT_EQ(rest.back().result().command_tag(), "COPY 3");
    EXPECT_EQ(error, "");
  });
}

TEST(Executor, ACopyThatIsRefusedFailedOrAbandonedLeavesThePoolWhole) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    (void)co_await Scalar(pooler, Statement("CREATE TABLE IF NOT EXISTS copied_badly(v int); TRUNCATE copied_badly"));
    CopyBidiExecuteRequest in;
    in.set_query("COPY no_such_table FROM STDIN");
    *in.mutable_options() = Options();
    std::string error;
    {
      auto copy = co_await pooler.executor->CopyBidiExecute(in, {});
      auto messages = co_await ReadAll(**copy, error);
      EXPECT_EQ(messages.size(), 1u);
      EXPECT_EQ(messages.front().phase(), CopyBidiExecuteResponse::ERROR);
      EXPECT_EQ(error, "42P01");
    }
    in.set_query("COPY copied_badly FROM STDIN");
    {
      auto copy = co_await pooler.executor->CopyBidiExecute(in, {});
      CopyBidiExecuteResponse ready;
      EXPECT_TRUE(co_await (*copy)->Receive(ready));
      CopyBidiExecuteRequest fail;
      fail.set_phase(CopyBidiExecuteRequest::FAIL);
      fail.set_error_message("changed my mind");
      EXPECT_TRUE(co_await (*copy)->Send(fail));
      auto messages = co_await ReadAll(**copy, error);
      EXPECT_EQ(messages.back().phase(), CopyBidiExecuteResponse::ERROR);
      EXPECT_EQ(messages.back().error(), "COPY from stdin failed: changed my mind");
      EXPECT_EQ(error, "57014");
    }
    {
      auto copy = co_await pooler.executor->CopyBidiExecute(in, {});
      CopyBidiExecuteResponse ready;
      EXPECT_TRUE(co_await (*copy)->Receive(ready));
      CopyBidiExecuteRequest data;
      data.set_phase(CopyBidiExecuteRequest::DATA);
      data.set_data("1\n");
      EXPECT_TRUE(co_await (*copy)->Send(data));
    }
    const Deadline limit = pooler.reactor.clock().After(10s);
    while (pooler.pools->Stats().front().stats.lent > 0 && !limit.Passed(pooler.reactor.clock().Now())) {
      co_await SleepFor(pooler.reactor.clock(), 1ms);
    }
    EXPECT_EQ(pooler.pools->Stats().front().stats.lent, 0u);
    EXPECT_EQ(co_await Scalar(pooler, Statement("SELECT count(*) FROM copied_badly")), "0");
  });
}

TEST(Executor, LooksUpCredentials) {
  auto& server = test::PostgresServer::Shared();
  ASSERT_TRUE(
      server.Psql("DROP ROLE IF EXISTS cred; CREATE ROLE cred LOGIN PASSWORD 'pw' VALID UNTIL '2030-01-01 UTC';"
                  "ALTER ROLE cred SET timezone = 'Asia/Tokyo'"));
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    multipoolerservice::GetAuthCredentialsRequest request;
    request.set_database("postgres");
    request.set_username("cred");
    auto found = co_await pooler.executor->GetAuthCredentials(request, {});
    EXPECT_TRUE(found) << found.error().ToString();
    EXPECT_TRUE(found->scram_hash().starts_with("SCRAM-SHA-256$"));
    EXPECT_TRUE(found->can_login());
    EXPECT_FALSE(found->is_superuser());
    EXPECT_TRUE(found->database_exists());
    EXPECT_EQ(found->valid_until().seconds(), 1893456000);
    EXPECT_EQ(found->parameter_status().at("TimeZone"), "Asia/Tokyo");
    EXPECT_EQ(found->parameter_status().at("is_superuser"), "off");
    EXPECT_EQ(found->parameter_status().at("session_authorization"), "cred");
    request.set_database("nowhere");
    found = co_await pooler.executor->GetAuthCredentials(request, {});
    EXPECT_TRUE(found && !found->database_exists());
    request.set_username("nobody_at_all");
    found = co_await pooler.executor->GetAuthCredentials(request, {});
    EXPECT_EQ(found.error().code(), Code::kNotFound);
    request.clear_username();
    found = co_await pooler.executor->GetAuthCredentials(request, {});
    EXPECT_EQ(found.error().code(), Code::kInvalidArgument);
  });
}

}  // namespace
}  // namespace multigres::pooler::executor
