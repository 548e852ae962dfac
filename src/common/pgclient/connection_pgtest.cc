#include "common/pgclient/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pgclient/pgclient_pgtest.h"
#include "common/pgwire/diagnostic.h"
#include "tools/async/event.h"
#include "tools/async/task_group.h"

namespace multigres::pgclient {
namespace {

using test::PostgresServer;
using namespace std::chrono_literals;

// The types of the messages up to the point where nothing is owed any more.
Awaitable<std::string> TypesToSync(Connection& connection) {
  std::string types;
  while (!connection.in_sync()) {
    auto message = co_await connection.NextReply(Within(connection.reactor()));
    if (!message) {
      ADD_FAILURE() << message.error().ToString();
      break;
    }
    types.push_back(message->type);
  }
  co_return types;
}

TEST(Connection, LearnsTheSessionAtStartup) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(PostgresServer::Shared());
    options.parameters = {{"application_name", "multigres test"}, {"TimeZone", "Asia/Tokyo"}};
    auto connection = co_await MustOpen(reactor, options);
    EXPECT_GT(connection->process_id(), 0);
    EXPECT_EQ(connection->cancel_target().secret_key.size(), 4u);
    EXPECT_TRUE(connection->is_idle());
    EXPECT_EQ(connection->parameters().at("TimeZone"), "Asia/Tokyo");
    EXPECT_EQ(connection->parameters().at("application_name"), "multigres test");
    EXPECT_EQ(connection->parameters().at("is_superuser"), "on");
    EXPECT_TRUE(connection->CheckIdle());
    auto pid = co_await QuerySimple(*connection, "SELECT pg_backend_pid()", Within(reactor));
    EXPECT_EQ(pid->Scalar(), std::to_string(connection->process_id()));
  });
}

TEST(Connection, ConnectsOverTcp) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(PostgresServer::Shared());
    options.address = TcpAddress{"127.0.0.1", PostgresServer::Shared().port()};
    auto connection = co_await MustOpen(reactor, options);
    auto result = co_await QuerySimple(*connection, "SELECT 1", Within(reactor));
    EXPECT_EQ(result->Scalar(), "1");
  });
}

TEST(Connection, KeysOfTheVerifierReplaceThePassword) {
  auto& server = PostgresServer::Shared();
  ASSERT_TRUE(server.Psql("CREATE ROLE keyholder LOGIN PASSWORD 'open sesame'"));
  const auto stored = server.Psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'keyholder'");
  ASSERT_TRUE(stored);
  const auto verifier = auth::ScramVerifier::Parse(*stored);
  ASSERT_TRUE(verifier) << *stored;
  OnReactor([&](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(server);
    options.user = "keyholder";
    options.database = "postgres";
    options.secret = auth::DeriveScramKeys("open sesame", verifier->salt, verifier->iterations);
    auto connection = co_await MustOpen(reactor, options);
    auto result = co_await QuerySimple(*connection, "SELECT current_user", Within(reactor));
    EXPECT_EQ(result->Scalar(), "keyholder");

    options.secret = auth::DeriveScramKeys("close sesame", verifier->salt, verifier->iterations);
    auto refused = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().sqlstate(), "28P01");
  });
}

TEST(Connection, VerifiersOfOursAreGoodForPostgres) {
  auto& server = PostgresServer::Shared();
  const std::string verifier = auth::MakeScramVerifier("p\xc3\xa4ss word").ToString();
  ASSERT_TRUE(server.Psql("CREATE ROLE made_by_us LOGIN PASSWORD '" + verifier + "'"));
  OnReactor([&](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(server);
    options.user = "made_by_us";
    options.database = "postgres";
    options.secret = std::string("p\xc3\xa4ss word");
    auto connection = co_await MustOpen(reactor, options);
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Connection, RefusalsCarryTheServersDiagnostic) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(PostgresServer::Shared());
    options.secret = std::string("wrong");
    auto wrong = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(wrong);
    EXPECT_EQ(wrong.error().sqlstate(), "28P01");
    EXPECT_TRUE(wrong.error().diagnostic() != nullptr);
    EXPECT_EQ(wrong.error().execution(), Execution::kDidNotExecute);
    EXPECT_TRUE(IsDead(wrong.error()));
    EXPECT_FALSE(IsConnectionError(wrong.error()));

    options = OptionsFor(PostgresServer::Shared());
    options.database = "nowhere";
    auto nowhere = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().sqlstate(), "3D000");

    options.secret = NoSecret();
    auto silent = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(silent);
    EXPECT_EQ(silent.error().sqlstate(), "28000");
  });
}

TEST(Connection, TrustIsTakenAndPasswordsInTheClearAreNotGiven) {
  PostgresServer::Options server_options;
  server_options.hba = {"local all trusted trust", "local all plain password", "local all hashed md5"};
  auto server = PostgresServer::Start(server_options);
  ASSERT_TRUE(server) << server.error().ToString();
  ASSERT_TRUE(
      (*server)->Psql("CREATE ROLE trusted LOGIN; CREATE ROLE plain LOGIN PASSWORD 'p';"
                      "SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD 'p';"));
  OnReactor([&](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(**server);
    options.database = "postgres";
    options.user = "trusted";
    options.secret = NoSecret();
    auto connection = co_await MustOpen(reactor, options);
    EXPECT_TRUE(connection->is_idle());

    options.secret = std::string("p");
    options.user = "plain";
    auto plain = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(plain);
    EXPECT_EQ(plain.error().message(), "the server asks for a cleartext password; only SCRAM-SHA-256 is supported");
    options.user = "hashed";
    auto hashed = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(hashed);
    EXPECT_EQ(hashed.error().message(), "the server asks for an MD5 password; only SCRAM-SHA-256 is supported");
  });
}

TEST(Connection, NobodyListeningIsAConnectionErrorThatDidNotExecute) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(PostgresServer::Shared());
    options.address = UnixAddress{PostgresServer::Shared().socket_dir() + "/nobody"};
    auto refused = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(refused);
    EXPECT_TRUE(IsConnectionError(refused.error()));
    EXPECT_EQ(refused.error().execution(), Execution::kDidNotExecute);
  });
}

TEST(Connection, ASilentServerRunsIntoTheDeadline) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto listener = Listener::Open(reactor, TcpAddress{"127.0.0.1", 0});
    EXPECT_TRUE(listener);
    auto options = OptionsFor(PostgresServer::Shared());
    options.address = TcpAddress{"127.0.0.1", (*listener)->port()};
    auto late = co_await Connection::Open(reactor, options, Within(reactor, 50ms));
    EXPECT_FALSE(late);
    EXPECT_EQ(late.error().code(), Code::kDeadlineExceeded);
    EXPECT_TRUE(IsInterrupted(late.error()));
  });
}

TEST(Connection, PipelinesManyStatementsAndStaysInSync) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT 1");
    connection->SendParse("s", "SELECT $1::int + 1");
    const std::optional<std::string_view> parameters[] = {"41"};
    connection->SendBind({"", "s", {}, {}}, parameters);
    connection->SendDescribe('P', "");
    connection->SendExecute("");
    connection->SendClose('S', "s");
    connection->SendSync();
    connection->SendQuery("");
    EXPECT_EQ(co_await TypesToSync(*connection), "TDCZ12TDC3ZIZ");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Connection, AnErrorInAPipelineSkipsToTheSync) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    for (const auto* sql : {"SELECT 1", "SELECT nothing", "SELECT 2"}) {
      connection->SendParse("", sql);
      connection->SendBind({});
      connection->SendExecute("");
    }
    connection->SendSync();
    connection->SendQuery("SELECT 3");
    EXPECT_EQ(co_await TypesToSync(*connection), "12DCEZTDCZ");
  });
}

TEST(Connection, BeginAndASimpleStatementGoInOneFlush) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    const auto send = [&](std::string_view begin) {
      connection->SendParse("", begin);
      connection->SendBind({});
      connection->SendExecute("");
      connection->SendQuery("SELECT 1");
      connection->SendSync();
    };
    send("BEGIN");
    EXPECT_EQ(co_await TypesToSync(*connection), "12CTDCZZ");
    EXPECT_EQ(connection->transaction_status(), pgwire::TransactionStatus::kInBlock);
    EXPECT_TRUE(connection->in_sync());
    EXPECT_FALSE(connection->is_idle());
    co_await QuerySimple(*connection, "ROLLBACK", Within(reactor));
    send("BEGIN ISOLATION LEVEL nonsense");
    EXPECT_EQ(co_await TypesToSync(*connection), "EZ");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Connection, RowsComeAsTheExactBytesOfTheirFrames) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT i, repeat('x', i % 300) FROM generate_series(1, 50000) i");
    std::uint64_t rows = 0;
    std::uint64_t blocks = 0;
    std::int64_t next = 1;
    std::string tag;
    while (!connection->in_sync()) {
      auto block = co_await connection->NextBlock(Within(reactor));
      if (!block) {
        ADD_FAILURE() << block.error().ToString();
        co_return;
      }
      if (block->type == 'C') tag = *pgwire::ReadCommandComplete(block->bytes);
      if (block->type != 'D') continue;
      EXPECT_FALSE(block->row_in_progress);
      ++blocks;
      rows += block->rows;
      std::string_view rest = block->bytes;
      while (!rest.empty()) {
        auto frame = pgwire::PeekFrame(rest);
        auto row = pgwire::ReadDataRow((*frame)->body);
        EXPECT_EQ(*row->begin(), std::to_string(next)) << "row lost or repeated";
        if (*row->begin() != std::to_string(next)) co_return;
        ++next;
        rest.remove_prefix((*frame)->size());
      }
    }
    EXPECT_EQ(rows, 50000u);
    EXPECT_EQ(tag, "SELECT 50000");
    EXPECT_LT(blocks, 2000u);
  });
}

TEST(Connection, ARowLargerThanABlockComesInSlicesOfItsOwn) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery(
        "SELECT repeat('ab', 4000000) UNION ALL SELECT 'small' UNION ALL SELECT repeat('c', 3000000)");
    std::string bytes;
    std::uint32_t rows = 0;
    std::vector<std::size_t> in_progress;
    while (!connection->in_sync()) {
      auto block = co_await connection->NextBlock(Within(reactor));
      if (!block) {
        ADD_FAILURE() << block.error().ToString();
        co_return;
      }
      if (block->type != 'D') continue;
      bytes += block->bytes;
      rows += block->rows;
      EXPECT_LE(block->bytes.size(), kRowBlockBytes);
      if (block->row_in_progress) {
        EXPECT_EQ(block->rows, 0u);
        in_progress.push_back(block->bytes.size());
      }
    }
    EXPECT_EQ(rows, 3u);
    EXPECT_THAT(in_progress, testing::ElementsAre(kRowBlockBytes, kRowBlockBytes, kRowBlockBytes, kRowBlockBytes));
    std::string_view rest = bytes;
    std::vector<std::size_t> sizes;
    while (!rest.empty()) {
      auto frame = pgwire::PeekFrame(rest);
      sizes.push_back((*pgwire::ReadDataRow((*frame)->body)->begin())->size());
      rest.remove_prefix((*frame)->size());
    }
    EXPECT_THAT(sizes, testing::ElementsAre(8000000u, 5u, 3000000u));
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Connection, AWaitThatRunsOutIsTakenUpAgain) {
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

Awaitable<void> CancelSoon(Reactor& reactor, CancelToken& token) {
  co_await SleepFor(reactor.clock(), 20ms);
  token.Cancel(CancelReason::kCancelled);
}

TEST(Connection, ACancelTokenEndsTheWaitAndACancelRequestTheQuery) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT pg_sleep(60)");
    CancelToken token;
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("cancel", CancelSoon(reactor, token));
    auto cancelled = co_await connection->Next({reactor.clock().After(20s), &token});
    EXPECT_FALSE(cancelled);
    EXPECT_EQ(cancelled.error().code(), Code::kCanceled);
    auto asked = co_await CancelQuery(reactor, connection->cancel_target(), reactor.clock().After(5s));
    EXPECT_TRUE(asked);
    auto drained = co_await DrainToSync(*connection, Within(reactor));
    EXPECT_TRUE(drained);
    EXPECT_TRUE(*drained && (*drained)->sqlstate() == "57014");
    EXPECT_TRUE(connection->is_idle());
    co_await tasks.Join();
  });
}

TEST(Connection, ACancelRequestWithTheWrongKeyDoesNothing) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendQuery("SELECT pg_sleep(0.1)");
    auto target = connection->cancel_target();
    target.secret_key[0] ^= 1;
    EXPECT_TRUE(co_await CancelQuery(reactor, target, reactor.clock().After(5s)));
    EXPECT_EQ(co_await TypesToSync(*connection), "TDCZ");
  });
}

Awaitable<void> InterruptSoon(Connection& connection) {
  co_await SleepFor(connection.reactor().clock(), 20ms);
  connection.Interrupt();
}

TEST(Connection, InterruptEndsAWaitFromOutside) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("interrupt", InterruptSoon(*connection));
    auto message = co_await connection->NextReply(Within(reactor));
    EXPECT_FALSE(message);
    EXPECT_EQ(message.error().code(), Code::kCanceled);
    co_await tasks.Join();
    EXPECT_TRUE(connection->CheckIdle());
  });
}

TEST(Connection, ATerminatedBackendsLastWordIsTheFailure) {
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

TEST(Connection, CheckIdleSeesABackendThatWasTerminated) {
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

TEST(Connection, AServerKilledInMidQueryIsAConnectionErrorThatMayHaveExecuted) {
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

TEST(Connection, NotificationsReachTheHandler) {
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

TEST(Connection, NoticesAndParameterChangesReachTheirHandlers) {
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

TEST(Connection, NextGivesNoticesInTheirPlace) {
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
TEST(Connection, FullPipesBothWaysDoNotBlockEachOther) {
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

TEST(Connection, AllQueuedAtOnceIsWrittenWhileReading) {
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

TEST(Connection, CloseTellsTheServer) {
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

TEST(Connection, AskingFor32FallsBackToWhatTheServerSpeaks) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(PostgresServer::Shared());
    options.protocol_version = pgwire::kProtocol32;
    auto connection = co_await MustOpen(reactor, options);
    // PostgreSQL 18 and newer speak it.
    if (connection->parameters().at("server_version") < "18") {
      EXPECT_EQ(connection->protocol_version(), pgwire::kProtocol30);
    } else {
      EXPECT_EQ(connection->cancel_target().secret_key.size(), 32u);
    }
  });
}

}  // namespace
}  // namespace multigres::pgclient
