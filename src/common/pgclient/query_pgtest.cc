#include "common/pgclient/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pgclient/pgclient_pgtest.h"

namespace multigres::pgclient {
namespace {

using test::PostgresServer;
using namespace std::chrono_literals;

TEST(Query, SimpleGivesColumnsRowsAndTag) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto result = co_await QuerySimple(*connection, "SELECT 1 AS a, NULL AS b, ''::text AS c", Within(reactor));
    EXPECT_TRUE(result);
    EXPECT_THAT(result->columns, testing::ElementsAre("a", "b", "c"));
    EXPECT_EQ(result->type_oids[0], 23u);
    EXPECT_THAT(result->rows, testing::ElementsAre(testing::ElementsAre("1", std::nullopt, "")));
    EXPECT_EQ(result->command_tag, "SELECT 1");
    EXPECT_EQ(result->Scalar(), "1");
  });
}

TEST(Query, SeveralStatementsGiveTheLastOnesResult) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto rows = co_await QuerySimple(*connection, "SELECT 1, 2; SELECT 3", Within(reactor));
    EXPECT_EQ(rows->Scalar(), "3");
    auto none = co_await QuerySimple(*connection, "SELECT 1; SET work_mem = '4MB'", Within(reactor));
    EXPECT_TRUE(none->rows.empty());
    EXPECT_TRUE(none->columns.empty());
    EXPECT_EQ(none->command_tag, "SET");
  });
}

TEST(Query, AnErrorCarriesTheDiagnosticAndLeavesTheConnectionInSync) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto failed = co_await QuerySimple(*connection, "SELECT * FROM no_such_table", Within(reactor));
    EXPECT_FALSE(failed);
    EXPECT_EQ(failed.error().sqlstate(), "42P01");
    EXPECT_EQ(failed.error().diagnostic()->position, 15);
    EXPECT_EQ(failed.error().execution(), Execution::kExecuted);
    EXPECT_FALSE(IsDead(failed.error()));
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Query, ParametersAreBoundAsText) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    std::vector<std::optional<std::string>> parameters = {"it's", std::nullopt, "20"};
    auto result = co_await QueryParams(*connection, "SELECT $1::text, $2::text IS NULL, $3::int * 2", parameters,
                                       Within(reactor));
    EXPECT_TRUE(result);
    EXPECT_THAT(result->rows, testing::ElementsAre(testing::ElementsAre("it's", "t", "40")));
    parameters = {"x"};
    auto failed = co_await QueryParams(*connection, "SELECT $1::int", parameters, Within(reactor));
    EXPECT_FALSE(failed);
    EXPECT_EQ(failed.error().sqlstate(), "22P02");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Query, RowsGoToTheCallback) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    std::uint64_t sum = 0;
    RowCallback add = [&](const pgwire::FieldList& row) { sum += std::stoull(std::string(**row.begin())); };
    auto tag = co_await QueryRows(*connection, "SELECT generate_series(1, 1000)", std::move(add), Within(reactor));
    EXPECT_EQ(*tag, "SELECT 1000");
    EXPECT_EQ(sum, 500500u);
  });
}

TEST(Query, CopyIsDeclinedAndTheConnectionGoesOn) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    co_await QuerySimple(*connection, "CREATE TEMP TABLE t (a int)", Within(reactor));
    auto in = co_await QuerySimple(*connection, "COPY t FROM STDIN", Within(reactor));
    EXPECT_FALSE(in);
    EXPECT_EQ(in.error().sqlstate(), "57014");
    auto out = co_await QuerySimple(*connection, "COPY (SELECT 1) TO STDOUT", Within(reactor));
    EXPECT_TRUE(out);
    EXPECT_EQ(out->command_tag, "COPY 1");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Query, RunningOutOfTimeClosesTheConnection) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    auto late = co_await QuerySimple(*connection, "SELECT pg_sleep(60)", Within(reactor, 30ms));
    EXPECT_FALSE(late);
    EXPECT_EQ(late.error().code(), Code::kDeadlineExceeded);
    EXPECT_TRUE(connection->broken());
  });
}

TEST(Query, DrainEndsAnOpenBatch) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    connection->SendParse("", "SELECT generate_series(1, 10)");
    connection->SendBind({});
    connection->SendExecute("", 3);
    connection->SendFlush();
    std::string types;
    while (!types.ends_with('s')) {
      auto message = co_await connection->Next(Within(reactor));
      types.push_back(message ? message->type : '!');
      if (!message) break;
    }
    EXPECT_EQ(types, "12DDDs");
    EXPECT_FALSE(connection->in_sync());
    auto drained = co_await DrainToSync(*connection, Within(reactor));
    EXPECT_TRUE(drained && !*drained);
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Query, QuotingSurvivesTheServer) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    for (const std::string& text :
         std::vector<std::string>{"plain", "it's", "back\\slash 'and\\' quote", "two\"quotes"}) {
      for (const char* setting : {"on", "off"}) {
        co_await QuerySimple(*connection, std::string("SET standard_conforming_strings = ") + setting, Within(reactor));
        auto literal = co_await QuerySimple(*connection, "SELECT " + QuoteLiteral(text), Within(reactor));
        EXPECT_EQ(literal->Scalar(), text);
        auto name = co_await QuerySimple(*connection, "SELECT 1 AS " + QuoteIdentifier(text), Within(reactor));
        EXPECT_EQ(name->columns[0], text);
      }
    }
  });
}

}  // namespace
}  // namespace multigres::pgclient
