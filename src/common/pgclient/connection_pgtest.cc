#include "common/pgclient/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pgclient/pgclient_pgtest.h"

namespace multigres::pgclient {
namespace {

using test::PostgresServer;
using namespace std::chrono_literals;

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
