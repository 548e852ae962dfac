#include "common/pgclient/copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pgclient/pgclient_pgtest.h"
#include "tools/async/task_group.h"

namespace multigres::pgclient {
namespace {

using test::PostgresServer;
using namespace std::chrono_literals;

Awaitable<std::unique_ptr<Connection>> WithTable(Reactor& reactor) {
  auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
  co_await QuerySimple(*connection, "CREATE TEMP TABLE t (a int, b text)", Within(reactor));
  co_return connection;
}

TEST(Copy, InTakesManyMegabytesWithBoundedMemory) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    auto start = co_await StartCopy(*connection, "COPY t FROM STDIN", Within(reactor));
    EXPECT_TRUE(start);
    EXPECT_EQ(start->direction, pgwire::kCopyInResponse);
    EXPECT_EQ(start->format, 0);
    EXPECT_EQ(start->column_formats.size(), 2u);
    EXPECT_TRUE(connection->awaits_copy_data());
    const std::string filler(1000, 'f');
    for (int i = 0; i < 20000; ++i) {
      connection->SendCopyData(std::to_string(i) + "\t" + filler + "\n");
      if (connection->unsent() < 262144) continue;
      auto flushed = co_await connection->Flush(Within(reactor), 65536);
      EXPECT_TRUE(flushed);
      EXPECT_LE(connection->unsent(), 65536u);
    }
    auto tag = co_await FinishCopyIn(*connection, Within(reactor));
    EXPECT_EQ(tag.value(), "COPY 20000");
    EXPECT_TRUE(connection->is_idle());
    auto sum = co_await QuerySimple(*connection, "SELECT sum(a) FROM t", Within(reactor));
    EXPECT_EQ(sum->Scalar(), "199990000");
  });
}

TEST(Copy, InGivenUpLeavesNoRows) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    co_await StartCopy(*connection, "COPY t FROM STDIN", Within(reactor));
    connection->SendCopyData("1\tone\n");
    auto failed = co_await FailCopyIn(*connection, "changed my mind", Within(reactor));
    EXPECT_TRUE(failed);
    auto count = co_await QuerySimple(*connection, "SELECT count(*) FROM t", Within(reactor));
    EXPECT_EQ(count->Scalar(), "0");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Copy, InWithBadDataGivesTheServersError) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    co_await StartCopy(*connection, "COPY t FROM STDIN", Within(reactor));
    connection->SendCopyData("not a number\tx\n");
    auto tag = co_await FinishCopyIn(*connection, Within(reactor));
    EXPECT_FALSE(tag);
    EXPECT_EQ(tag.error().sqlstate(), "22P02");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Copy, AnErrorWhileDataStillFlowsIsSeenAndSurvived) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    co_await StartCopy(*connection, "COPY t FROM STDIN", Within(reactor));
    connection->SendCopyData("bad\tx\n");
    for (int i = 0; i < 100000 && !connection->has_buffered(); ++i) {
      connection->SendCopyData(std::string(10000, 'x'));
      auto flushed = co_await connection->Flush(Within(reactor));
      EXPECT_TRUE(flushed);
    }
    EXPECT_TRUE(connection->has_buffered());
    auto tag = co_await FinishCopyIn(*connection, Within(reactor));
    EXPECT_EQ(tag.error().sqlstate(), "22P02");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Copy, DrainEndsACopyIn) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    co_await StartCopy(*connection, "COPY t FROM STDIN", Within(reactor));
    auto drained = co_await DrainToSync(*connection, Within(reactor));
    EXPECT_TRUE(drained && *drained);
    EXPECT_EQ((*drained)->sqlstate(), "57014");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Copy, OutGivesTheDataAndTheTag) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    auto start = co_await StartCopy(
        *connection, "COPY (SELECT i, repeat('y', 500) FROM generate_series(1, 10000) i) TO STDOUT", Within(reactor));
    EXPECT_EQ(start->direction, pgwire::kCopyOutResponse);
    std::size_t bytes = 0;
    std::string tag;
    while (true) {
      auto data = co_await NextCopyData(*connection, tag, Within(reactor));
      EXPECT_TRUE(data);
      if (!data || !*data) break;
      bytes += (*data)->size();
    }
    EXPECT_EQ(tag, "COPY 10000");
    EXPECT_EQ(bytes, 10000u * 502u + 38894u);
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Copy, OutThatFailsGivesTheServersError) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    auto start = co_await StartCopy(
        *connection, "COPY (SELECT 1 / (500 - i) FROM generate_series(1, 1000) i) TO STDOUT", Within(reactor));
    EXPECT_TRUE(start);
    std::string tag;
    std::string sqlstate;
    for (int i = 0; i < 2000 && sqlstate.empty(); ++i) {
      auto data = co_await NextCopyData(*connection, tag, Within(reactor));
      if (!data) sqlstate = data.error().sqlstate();
    }
    EXPECT_EQ(sqlstate, "22012");
    EXPECT_TRUE(connection->is_idle());
  });
}

TEST(Copy, WhatIsNoCopyIsRunAndRefused) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await WithTable(reactor);
    auto none = co_await StartCopy(*connection, "SELECT 1", Within(reactor));
    EXPECT_FALSE(none);
    EXPECT_EQ(none.error().sqlstate(), "08P01");
    auto failed = co_await StartCopy(*connection, "COPY nothing FROM STDIN", Within(reactor));
    EXPECT_EQ(failed.error().sqlstate(), "42P01");
    EXPECT_TRUE(connection->is_idle());
  });
}

// Sends standby status updates while the other coroutine reads the stream.
Awaitable<void> ReportStatus(Connection& connection, int& sent) {
  for (int i = 0; i < 5; ++i) {
    pgwire::WireWriter update;
    update.Byte('r');
    for (int field = 0; field < 4; ++field) update.Int64(0);
    update.Byte(0);
    connection.SendCopyData(update.view());
    auto flushed = co_await connection.Flush(Within(connection.reactor()));
    EXPECT_TRUE(flushed);
    ++sent;
    co_await SleepFor(connection.reactor().clock(), 2ms);
  }
}

TEST(Copy, ReplicationStreamsBothWays) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto options = OptionsFor(PostgresServer::Shared());
    options.database = "postgres";
    options.parameters = {{"replication", "database"}};
    auto walsender = co_await MustOpen(reactor, options);
    auto identity = co_await QuerySimple(*walsender, "IDENTIFY_SYSTEM", Within(reactor));
    EXPECT_TRUE(identity);
    auto slot =
        co_await QuerySimple(*walsender, "CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL test_decoding", Within(reactor));
    EXPECT_TRUE(slot) << slot.error().ToString();
    if (!slot) co_return;
    auto start = co_await StartCopy(*walsender, "START_REPLICATION SLOT s LOGICAL 0/0", Within(reactor));
    EXPECT_TRUE(start);
    EXPECT_EQ(start->direction, pgwire::kCopyBothResponse);
    int sent = 0;
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("status", ReportStatus(*walsender, sent));
    auto writer = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    co_await QuerySimple(*writer, "CREATE TABLE replicated (a int); INSERT INTO replicated VALUES (42)",
                         Within(reactor));
    std::string seen;
    while (seen.find("integer]:42") == std::string::npos) {
      auto message = co_await walsender->Next(Within(reactor));
      if (!message) {
        ADD_FAILURE() << message.error().ToString();
        break;
      }
      EXPECT_EQ(message->type, pgwire::kCopyData);
      seen += message->body;
    }
    co_await tasks.Join();
    EXPECT_EQ(sent, 5);
    walsender->Close();
    co_await QuerySimple(*writer, "DROP TABLE replicated", Within(reactor));
  });
}

TEST(Copy, RawBytesPassUnlooked) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, OptionsFor(PostgresServer::Shared()));
    pgwire::WireWriter out;
    pgwire::WriteQuery(out, "SELECT 'raw'");
    connection->SendRaw(out.view());
    std::string bytes;
    while (!bytes.ends_with(std::string_view("Z\0\0\0\5I", 6))) {
      auto read = co_await connection->NextRaw(Within(reactor), 7);
      EXPECT_TRUE(read && !read->empty());
      if (!read || read->empty()) break;
      EXPECT_LE(read->size(), 7u);
      bytes += *read;
    }
    EXPECT_NE(bytes.find("raw"), std::string::npos);
    // Terminate: the end is an empty read, again and again.
    out.Clear();
    pgwire::WriteTerminate(out);
    connection->SendRaw(out.view());
    for (int i = 0; i < 2; ++i) {
      auto end = co_await connection->NextRaw(Within(reactor));
      EXPECT_TRUE(end && end->empty());
    }
  });
}

}  // namespace
}  // namespace multigres::pgclient
