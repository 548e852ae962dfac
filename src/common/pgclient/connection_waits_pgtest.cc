// Waits and how they end: deadlines, cancellation, servers that die, what comes unasked, full pipes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pgclient/connection.h"
#include "common/pgclient/pgclient_pgtest.h"
#include "tools/async/event.h"
#include "tools/async/task_group.h"

namespace multigres::pgclient {
namespace {

using test::PostgresServer;
using namespace std::chrono_literals;

TEST(ConnectionWaits, AWaitThatRunsOutIsTakenUpAgain) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT pg_sleep(0.2), 7");
    auto early = co_await connection->Next(Within(reactor, 20ms));
    EXPECT_FALSE(early);
    EXPECT_TRUE(IsInterrupted(early.error()));
    EXPECT_EQ(early.error().code(), Code::kDeadlineExceeded);
    EXPECT_FALSE(connection->broken());
    EXPECT_EQ(co_await TypesToSync(*connection), "TDCZ");
  });
}

// After a turn of the reactor, whose waits have begun then.
Awaitable<void> CancelNext(CancelToken& token) {
  co_await asio::post(co_await asio::this_coro::executor, kAwait);
  token.Cancel(CancelReason::kCancelled);
}

// Returns once PostgreSQL runs what the connection was sent.
Awaitable<void> UntilActive(Connection& connection) {
  Reactor& reactor = connection.reactor();
  auto observer = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
  const std::string sql = "SELECT state FROM pg_stat_activity WHERE pid = " + std::to_string(connection.process_id());
  const Bounds bounds = Within(reactor);
  while (!bounds.deadline.Passed(reactor.clock().Now())) {
    auto state = co_await QuerySimple(*observer, sql, bounds);
    if (state && state->Scalar() == "active") co_return;
  }
  ADD_FAILURE() << "the query isn't run";
}

TEST(ConnectionWaits, ACancelTokenEndsTheWaitAndACancelRequestTheQuery) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT pg_sleep(60)");
    CancelToken token;
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("cancel", CancelNext(token));
    auto cancelled = co_await connection->Next({reactor.clock().After(20s), &token});
    EXPECT_FALSE(cancelled);
    EXPECT_EQ(cancelled.error().code(), Code::kCanceled);
    co_await UntilActive(*connection);
    auto asked = co_await CancelQuery(reactor, connection->cancel_target(), reactor.clock().After(5s));
    EXPECT_TRUE(asked);
    auto drained = co_await DrainToSync(*connection, Within(reactor));
    EXPECT_TRUE(drained);
    EXPECT_TRUE(*drained && (*drained)->sqlstate() == "57014");
    EXPECT_TRUE(connection->is_idle());
    co_await tasks.Join();
  });
}

TEST(ConnectionWaits, ACancelRequestWithTheWrongKeyDoesNothing) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT pg_sleep(0.1)");
    auto target = connection->cancel_target();
    target.secret_key[0] ^= 1;
    EXPECT_TRUE(co_await CancelQuery(reactor, target, reactor.clock().After(5s)));
    EXPECT_EQ(co_await TypesToSync(*connection), "TDCZ");
  });
}

Awaitable<void> InterruptNext(Connection& connection) {
  co_await asio::post(co_await asio::this_coro::executor, kAwait);
  connection.Interrupt();
}

TEST(ConnectionWaits, InterruptEndsAWaitFromOutside) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("interrupt", InterruptNext(*connection));
    auto message = co_await connection->NextReply(Within(reactor));
    EXPECT_FALSE(message);
    EXPECT_EQ(message.error().code(), Code::kCanceled);
    co_await tasks.Join();
    EXPECT_TRUE(connection->CheckIdle());
  });
}

TEST(ConnectionWaits, ATerminatedBackendsLastWordIsTheFailure) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto admin = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT pg_sleep(60)");
    connection->FlushNow();
    co_await QuerySimple(*admin, "SELECT pg_terminate_backend(" + std::to_string(connection->process_id()) + ")",
                         Within(reactor));
    auto drained = co_await DrainToSync(*connection, Within(reactor));
    EXPECT_FALSE(drained);
    EXPECT_EQ(drained.error().sqlstate(), "57P01");
    EXPECT_EQ(drained.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_TRUE(IsConnectionError(drained.error()));
    EXPECT_TRUE(connection->broken());
    // And so it stays.
    connection->SendQuery("SELECT 1");
    auto again = co_await connection->Next(Within(reactor));
    EXPECT_FALSE(again);
    EXPECT_EQ(again.error().sqlstate(), "57P01");
  });
}

Awaitable<Result<>> UntilNotIdle(Connection& connection) {
  for (int i = 0; i < 1000; ++i) {
    auto idle = connection.CheckIdle();
    if (!idle) co_return idle;
    co_await SleepFor(connection.reactor().clock(), 5ms);
  }
  co_return Result<>{};
}

TEST(ConnectionWaits, CheckIdleSeesABackendThatWasTerminated) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto admin = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    co_await QuerySimple(*connection, "SELECT 1", Within(reactor));
    co_await QuerySimple(*admin, "SELECT pg_terminate_backend(" + std::to_string(connection->process_id()) + ")",
                         Within(reactor));
    auto idle = co_await UntilNotIdle(*connection);
    EXPECT_FALSE(idle);
    EXPECT_EQ(idle.error().sqlstate(), "57P01");
    EXPECT_EQ(idle.error().execution(), Execution::kDidNotExecute);
    connection->SendQuery("SELECT 1");
    auto next = co_await connection->Next(Within(reactor));
    EXPECT_FALSE(next);
    EXPECT_EQ(next.error().execution(), Execution::kDidNotExecute);
  });
}

TEST(ConnectionWaits, AServerKilledInMidQueryIsAConnectionErrorThatMayHaveExecuted) {
  auto server = PostgresServer::Start();
  ASSERT_TRUE(server) << server.error().ToString();
  OnReactor([&](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(**server));
    connection->SendQuery("SELECT pg_sleep(60)");
    auto early = co_await connection->Next(Within(reactor, 50ms));
    EXPECT_FALSE(early);
    (*server)->Kill();
    auto dead = co_await connection->Next(Within(reactor));
    EXPECT_FALSE(dead);
    EXPECT_TRUE(IsConnectionError(dead.error())) << dead.error().ToString();
    EXPECT_EQ(dead.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_TRUE((*server)->StartAgain());
    auto next = co_await MustOpen(reactor, OptionsFor(**server));
    EXPECT_TRUE(next->is_idle());
  });
}

TEST(ConnectionWaits, NotificationsReachTheHandler) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto listener = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto notifier = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    std::vector<std::string> heard;
    AsyncHandlers handlers;
    handlers.on_notification = [&](const pgwire::NotificationResponse& notification) {
      heard.push_back(std::string(notification.channel) + ":" + std::string(notification.payload));
      EXPECT_EQ(notification.process_id, notifier->process_id());
      if (heard.size() == 2) listener->Interrupt();
    };
    listener->set_handlers(std::move(handlers));
    co_await QuerySimple(*listener, "LISTEN news", Within(reactor));
    co_await QuerySimple(*notifier, "NOTIFY news, 'one'", Within(reactor));
    co_await QuerySimple(*notifier, "NOTIFY news, 'two'", Within(reactor));
    while (heard.size() < 2) {
      auto message = co_await listener->NextReply(Within(reactor, 20ms));
      EXPECT_FALSE(message);
    }
    EXPECT_THAT(heard, testing::ElementsAre("news:one", "news:two"));
    // Without a reader they wait for the next look.
    heard.clear();
    co_await QuerySimple(*notifier, "NOTIFY news, 'three'", Within(reactor));
    for (int i = 0; i < 1000 && heard.empty(); ++i) {
      EXPECT_TRUE(listener->CheckIdle());
      co_await SleepFor(reactor.clock(), 5ms);
    }
    EXPECT_THAT(heard, testing::ElementsAre("news:three"));
    EXPECT_TRUE(listener->is_idle());
  });
}

TEST(ConnectionWaits, NoticesAndParameterChangesReachTheirHandlers) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    std::vector<std::string> heard;
    AsyncHandlers handlers;
    handlers.on_notice = [&](PgDiagnostic&& notice) { heard.push_back(notice.severity + " " + notice.message); };
    handlers.on_parameter = [&](std::string_view name, std::string_view value) {
      heard.push_back(std::string(name) + "=" + std::string(value));
    };
    connection->set_handlers(std::move(handlers));
    const auto changes = connection->parameter_changes();
    co_await QuerySimple(*connection, "DO $$BEGIN RAISE WARNING 'careful'; END$$; SET TimeZone = 'UTC'",
                         Within(reactor));
    EXPECT_THAT(heard, testing::ElementsAre("WARNING careful", "TimeZone=UTC"));
    EXPECT_EQ(connection->parameter_changes(), changes + 1);
    EXPECT_EQ(connection->parameters().at("TimeZone"), "UTC");
  });
}

TEST(ConnectionWaits, NextGivesNoticesInTheirPlace) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT 1; DO $$BEGIN RAISE WARNING 'careful'; END$$; SELECT 2");
    std::string types;
    while (!connection->in_sync()) {
      auto block = co_await connection->NextBlock(Within(reactor));
      types.push_back(block ? block->type : '!');
      if (!block) break;
    }
    EXPECT_EQ(types, "TDCNCTDCZ");
  });
}

// The client writes more than the pipes hold while the server does the same.
TEST(ConnectionWaits, FullPipesBothWaysDoNotBlockEachOther) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    const std::string sql = "SELECT '" + std::string(20000, 'q') + "'";
    constexpr int kStatements = 500;
    for (int i = 0; i < kStatements; ++i) {
      connection->SendQuery(sql);
      auto flushed = co_await connection->Flush(Within(reactor), 65536);
      EXPECT_TRUE(flushed);
    }
    std::uint64_t rows = 0;
    while (!connection->in_sync()) {
      auto block = co_await connection->NextBlock(Within(reactor));
      if (!block) {
        ADD_FAILURE() << block.error().ToString();
        co_return;
      }
      rows += block->rows;
    }
    EXPECT_EQ(rows, kStatements + 0u);
  });
}

TEST(ConnectionWaits, AllQueuedAtOnceIsWrittenWhileReading) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    const std::string sql = "SELECT '" + std::string(20000, 'q') + "'";
    constexpr int kStatements = 500;
    for (int i = 0; i < kStatements; ++i) connection->SendQuery(sql);
    std::uint64_t rows = 0;
    while (!connection->in_sync()) {
      auto block = co_await connection->NextBlock(Within(reactor));
      if (!block) {
        ADD_FAILURE() << block.error().ToString();
        co_return;
      }
      rows += block->rows;
    }
    EXPECT_EQ(rows, kStatements + 0u);
  });
}

TEST(ConnectionWaits, CloseTellsTheServer) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto admin = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    const std::string pid = std::to_string(connection->process_id());
    connection->Close();
    connection->Close();
    EXPECT_TRUE(connection->broken());
    auto closed = co_await connection->Next(Within(reactor));
    EXPECT_FALSE(closed);
    std::optional<std::string> left = "1";
    for (int i = 0; i < 1000 && left != "0"; ++i) {
      auto count =
          co_await QuerySimple(*admin, "SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid, Within(reactor));
      left = count->Scalar();
    }
    EXPECT_EQ(left, "0");
  });
}

}  // namespace
}  // namespace multigres::pgclient
