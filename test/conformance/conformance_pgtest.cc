#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <random>
#include <thread>

#include "test/conformance/client.h"
#include "test/conformance/stack.h"

namespace multigres::conformance {
namespace {

Stack& TheStack() {
  static Stack stack;
  return stack;
}

using Script = std::function<std::vector<std::string>(Client&)>;

// The script sees the same on both ways, step by step.
void ExpectSame(const Script& script) {
  std::vector<std::string> direct;
  std::vector<std::string> proxied;
  {
    Client client(TheStack().direct());
    client.Query("drop schema if exists c cascade; create schema c; set search_path = c");
    direct = script(client);
  }
  {
    Client client(TheStack().proxied());
    client.Query("drop schema if exists c cascade; create schema c; set search_path = c");
    proxied = script(client);
  }
  ASSERT_EQ(direct.size(), proxied.size());
  for (std::size_t i = 0; i < direct.size(); i++) EXPECT_EQ(direct[i], proxied[i]) << "step " << i;
}

// The usual script: one Query after the other.
void ExpectSameQueries(std::vector<std::string> queries) {
  ExpectSame([&](Client& client) {
    std::vector<std::string> seen;
    seen.reserve(queries.size());
    for (const std::string& sql : queries) seen.push_back(sql + "\n" + client.Query(sql));
    return seen;
  });
}

TEST(Conformance, PlainStatements) {
  ExpectSameQueries({"select 1", "select 1 as a, 'x' as b, null as c", "select", "", " ; ", "-- nothing",
                     "create table t (a int primary key, b text)", "insert into t values (1, 'x'), (2, null)",
                     "select * from t order by a", "update t set b = 'y' where a = 2 returning *", "delete from t",
                     "select generate_series(1, 2000)", "values (1), (2)", "table t", "drop table t",
                     "do $$ begin raise notice 'hello'; end $$", "explain (costs off) select 1"});
}

TEST(Conformance, Errors) {
  ExpectSameQueries({"selekt 1", "select 1 +", "select 'a", "select \"a", "select /* a", "select * from nosuch",
                     "select 1/0", "select a from (select 1 as b) x", "select 'ä' || nosuch", "set nosuch = 1",
                     "set work_mem = 'x'", "select $1", "create table", "commit prepared 'x'", "select 'ab'::int"});
}

TEST(Conformance, Transactions) {
  ExpectSameQueries({"begin",
                     "select 1",
                     "commit",
                     "begin",
                     "rollback",
                     "begin",
                     "begin",
                     "commit",
                     "commit",
                     "rollback",
                     "begin isolation level serializable",
                     "show transaction_isolation",
                     "rollback",
                     "begin read only",
                     "create table t (a int)",
                     "select 1",
                     "rollback",
                     "start transaction",
                     "select 1/0",
                     "select 1",
                     "begin",
                     "commit",
                     "begin",
                     "select 1/0",
                     "rollback",
                     "select 1"});
}

TEST(Conformance, Savepoints) {
  ExpectSameQueries({"create table t (a int)",
                     "begin",
                     "insert into t values (1)",
                     "savepoint s",
                     "insert into t values (2)",
                     "rollback to s",
                     "insert into t values (3)",
                     "release s",
                     "release nosuch",
                     "rollback to s",
                     "rollback",
                     "begin",
                     "savepoint a",
                     "select 1/0",
                     "rollback to nosuch",
                     "rollback to a",
                     "select 1",
                     "commit",
                     "savepoint x",
                     "release x",
                     "rollback to x",
                     "select * from t"});
}

TEST(Conformance, ChainedTransactions) {
  ExpectSameQueries({"commit and chain", "rollback and chain", "begin isolation level serializable", "commit and chain",
                     "show transaction_isolation", "rollback and chain", "show transaction_isolation", "commit",
                     "begin read only", "select 1/0", "commit and chain", "show transaction_read_only", "rollback"});
}

TEST(Conformance, DeferredConstraintsFailAtCommit) {
  ExpectSameQueries({"create table p (a int primary key)",
                     "create table f (a int references p deferrable initially deferred)", "begin",
                     "insert into f values (1)", "commit", "select * from f", "insert into f values (2)",
                     "select 1; insert into f values (3)", "select * from f"});
}

TEST(Conformance, Batches) {
  ExpectSameQueries({"create table t (a int)",
                     "select 1; select 2",
                     "insert into t values (1); select 1/0",
                     "select * from t",
                     "insert into t values (2); commit; select 1/0",
                     "select * from t",
                     "begin; insert into t values (3); commit; insert into t values (4); rollback",
                     "select * from t",
                     "select 1; begin; insert into t values (5)",
                     "select * from t",
                     "rollback",
                     "select * from t",
                     "select 1; savepoint s",
                     "select 1; selekt 2",
                     "select 1; select 'ä', nosuch",
                     "begin; select 1/0; select 1",
                     "select 1; rollback",
                     "rollback; select 1",
                     "commit; select 1",
                     "rollback; select 1",
                     "select 1; begin isolation level serializable",
                     "select 1; begin read only",
                     "show transaction_read_only",
                     "rollback",
                     "select 1; commit and chain",
                     "set work_mem = '5MB'; select 1/0",
                     "show work_mem",
                     "set work_mem = '5MB'; show work_mem",
                     "show work_mem",
                     "vacuum; select 1",
                     "; ; select 1 ; ;",
                     "create table u (a int); vacuum"});
}

TEST(Conformance, Settings) {
  ExpectSameQueries({"show work_mem",
                     "set work_mem = '4MB'",
                     "show work_mem",
                     "set work_mem = 4097",
                     "show work_mem",
                     "reset work_mem",
                     "show work_mem",
                     "set work_mem to default",
                     "set datestyle = iso, dmy",
                     "show datestyle",
                     "set time zone 'Europe/Berlin'",
                     "show timezone",
                     "set time zone local",
                     "show timezone",
                     "set time zone interval '-08:00' hour to minute",
                     "show timezone",
                     "reset timezone",
                     "set application_name = 'x y'",
                     "show application_name",
                     "reset application_name",
                     "set a.b = 'c'",
                     "show a.b",
                     "select current_setting('a.b')",
                     "reset a.b",
                     "show a.b",
                     "set names 'LATIN1'",
                     "show client_encoding",
                     "reset client_encoding",
                     "set standard_conforming_strings = off",
                     R"(select 'a\'b')",
                     "reset standard_conforming_strings",
                     "set search_path = c, \"$user\", public",
                     "show search_path",
                     "set local work_mem = '1MB'",
                     "show work_mem",
                     "set session characteristics as transaction read only",
                     "show default_transaction_read_only",
                     "create table t (a int)",
                     "reset all",
                     "show default_transaction_read_only",
                     "set extra_float_digits = 0",
                     "select 0.1::float8",
                     "reset extra_float_digits",
                     "set role nosuch",
                     "show all_nosuch",
                     "set transaction read only"});
}

TEST(Conformance, SettingsInTransactions) {
  ExpectSameQueries({"begin",
                     "set work_mem = '4MB'",
                     "show work_mem",
                     "rollback",
                     "show work_mem",
                     "begin",
                     "set work_mem = '4MB'",
                     "commit",
                     "show work_mem",
                     "begin",
                     "set local work_mem = '5MB'",
                     "show work_mem",
                     "commit",
                     "show work_mem",
                     "begin",
                     "set time zone 'CET'",
                     "savepoint s",
                     "set time zone 'Asia/Tokyo'",
                     "rollback to s",
                     "show timezone",
                     "rollback",
                     "show timezone",
                     "begin",
                     "reset work_mem",
                     "show work_mem",
                     "rollback",
                     "show work_mem",
                     "begin",
                     "reset all",
                     "show work_mem",
                     "commit",
                     "show work_mem"});
}

TEST(Conformance, RolesBelongToTheSession) {
  ExpectSameQueries({"drop role if exists r_conf", "create role r_conf", "set role r_conf", "select current_user",
                     "show role", "reset role", "select current_user", "set session authorization r_conf",
                     "select session_user", "reset session authorization", "select session_user, current_user", "begin",
                     "set role r_conf", "rollback", "select current_user", "set role none", "show role",
                     "drop role r_conf"});
}

TEST(Conformance, GatewayVariables) {
  ExpectSameQueries({"show statement_timeout",
                     "set statement_timeout = '90s'",
                     "show statement_timeout",
                     "set statement_timeout = 1500",
                     "show statement_timeout",
                     "reset statement_timeout",
                     "set statement_timeout = 'x'",
                     "set statement_timeout = '1 parsec'",
                     "set local statement_timeout = 5",
                     "begin",
                     "set local statement_timeout = '1h'",
                     "show statement_timeout",
                     "commit",
                     "show statement_timeout",
                     "set statement_timeout = 100",
                     "select pg_sleep(5)",
                     "begin",
                     "select pg_sleep(5)",
                     "select 1",
                     "rollback",
                     "set idle_session_timeout = '1d'",
                     "show idle_session_timeout",
                     "reset all",
                     "show idle_session_timeout"});
}

TEST(Conformance, SetConfig) {
  ExpectSameQueries(
      {"select set_config('work_mem', '4MB', false)", "show work_mem", "select set_config('work_mem', '5MB', true)",
       "show work_mem", "select pg_catalog.set_config('search_path', '', false)", "show search_path",
       "select set_config('search_path', 'c', 'f')", "begin", "select set_config('work_mem', '6MB', false)", "rollback",
       "show work_mem", "select set_config('work_mem', null, false)", "show work_mem",
       "select set_config(name, '7MB', false) from pg_settings where name = 'work_mem'", "show work_mem",
       "select set_config(name, 'x', false) from pg_settings where name = 'nosuch'"});
}

TEST(Conformance, TemporaryTables) {
  ExpectSameQueries({"create temp table tt (a int)", "insert into tt values (1)", "select * from tt", "begin",
                     "insert into tt values (2)", "rollback", "select * from tt", "select 1/0", "select * from tt",
                     "discard temp", "select * from tt", "select 7 as a into temp tt", "select * from tt",
                     "discard all", "select * from tt"});
}

TEST(Conformance, Cursors) {
  ExpectSameQueries({"begin", "declare c cursor for select generate_series(1, 5)", "fetch 2 from c", "fetch 2 from c",
                     "close c", "fetch 1 from c", "rollback",
                     "declare h cursor with hold for select generate_series(1, 3)", "fetch 1 from h", "fetch 5 from h",
                     "close h", "fetch 1 from h", "declare c cursor for select 1", "close nosuch", "begin",
                     "declare h cursor with hold for select 1", "rollback", "fetch 1 from h"});
}

TEST(Conformance, PreparedByName) {
  ExpectSameQueries({"prepare p as select 1 as a",
                     "execute p",
                     "prepare p as select 2",
                     "deallocate p",
                     "execute p",
                     "prepare q (int, text) as select $1 + 1, $2",
                     "execute q (1, 'x')",
                     "execute q (1)",
                     "explain (costs off) execute q (1, 'x')",
                     "create table t as execute p",
                     "prepare bad as select nosuch",
                     "prepare bad (nosuchtype) as select $1",
                     "begin",
                     "prepare r as select 3",
                     "rollback",
                     "execute r",
                     "deallocate all",
                     "execute r",
                     "deallocate nosuch",
                     "prepare s as insert into nosuch values (1)"});
}

TEST(Conformance, Discard) {
  ExpectSameQueries(
      {"discard plans", "discard sequences", "discard temp", "discard all", "begin", "discard all", "rollback"});
}

TEST(Conformance, Copy) {
  ExpectSame([](Client& client) {
    return std::vector<std::string>{client.Query("create table t (a int, b text)"),
                                    client.Query("copy t from stdin", "1\tx\n2\t\\N\n"),
                                    client.Query("copy t to stdout"),
                                    client.Query("copy (select a from t order by a desc) to stdout with csv header"),
                                    client.Query("copy t from stdin", "x\ty\n"),
                                    client.Query("select count(*) from t"),
                                    client.Query("copy nosuch from stdin", ""),
                                    client.Query("begin"),
                                    client.Query("copy t from stdin", "3\tz\n"),
                                    client.Query("rollback"),
                                    client.Query("select count(*) from t"),
                                    client.Query("begin; copy t from stdin; commit", "4\tw\n"),
                                    client.Query("select count(*) from t"),
                                    client.Query("copy t from stdin; select 1/0", "5\tv\n"),
                                    client.Query("select count(*) from t"),
                                    client.Query("copy t from stdin", "")};
  });
}

TEST(Conformance, ExtendedProtocol) {
  ExpectSame([](Client& client) {
    return std::vector<std::string>{client.Extended("select $1::int + 1 as a", {"41"}),
                                    client.Extended("create table t (a int)", {}),
                                    client.Extended("insert into t values ($1) returning a", {"1"}),
                                    client.Extended("insert into t values ($1)", {"x"}),
                                    client.Extended("select nosuch", {}),
                                    client.Extended("select 1; select 2", {}),
                                    client.Extended("", {}),
                                    client.Extended("select $1", {}),
                                    client.Extended("begin", {}),
                                    client.Extended("select * from t", {}),
                                    client.Extended("select 1/0", {}),
                                    client.Extended("select 1", {}),
                                    client.Extended("rollback", {}),
                                    client.Extended("set work_mem = '7MB'", {}),
                                    client.Extended("show work_mem", {}),
                                    client.Extended("show statement_timeout", {}),
                                    client.Extended("vacuum", {}),
                                    client.Extended("commit", {}),
                                    client.Extended("prepare p (int) as select $1", {}),
                                    client.Extended("execute p (3)", {}),
                                    client.Prepare("s", "select $1::text as b"),
                                    client.ExecutePrepared("s", {"hello"}),
                                    client.ExecutePrepared("s", {"again"}),
                                    client.ExecutePrepared("nosuch", {"x"}),
                                    client.Prepare("s", "select 2"),
                                    client.Query("deallocate s"),
                                    client.Prepare("s", "select 2"),
                                    client.ExecutePrepared("s", {}),
                                    client.ExecutePrepared("s", {"too many"})};
  });
}

TEST(Conformance, Pipelines) {
  ExpectSame([](Client& client) {
    return std::vector<std::string>{
        client.Query("create table t (a int)"),
        client.Pipeline({"insert into t values (1)", "insert into t values (2)", "select count(*) from t"}),
        client.Pipeline({"insert into t values (3)", "select 1/0", "insert into t values (4)"}),
        client.Query("select count(*) from t"),
        client.Pipeline({"begin", "insert into t values (5)"}),
        client.Query("rollback"),
        client.Query("select count(*) from t"),
        client.Pipeline({"begin", "insert into t values (5)", "commit", "insert into t values (6)"}),
        client.Query("select count(*) from t"),
        client.Pipeline({"vacuum"})};
  });
}

// Runs the statement and cancels it while it runs.
std::string QueryCancelled(Client& client, const std::string& sql, Client& observer) {
  std::string mark = fmt::format("/* {} */", fmt::ptr(&client));
  PGcancel* cancel = PQgetCancel(client.connection());
  std::thread canceller([&] {
    std::string running = fmt::format(
        "select count(*) from pg_stat_activity where state = 'active' and wait_event = 'PgSleep' and query like '%{}%'",
        mark);
    while (observer.Query(running).find("\n0 ") != std::string::npos) std::this_thread::yield();
    char error[256];
    PQcancel(cancel, error, sizeof(error));
  });
  std::string seen = client.Query(std::string(sql).insert(sql.find("pg_sleep"), mark));
  canceller.join();
  PQfreeCancel(cancel);
  return seen;
}

TEST(Conformance, Cancels) {
  Client observer(TheStack().direct());
  ExpectSame([&](Client& client) {
    return std::vector<std::string>{QueryCancelled(client, "select pg_sleep(60)", observer),
                                    client.Query("select 1"),
                                    client.Query("begin"),
                                    client.Query("savepoint s"),
                                    QueryCancelled(client, "select pg_sleep(60)", observer),
                                    client.Query("select 1"),
                                    client.Query("rollback to s"),
                                    client.Query("select 2"),
                                    client.Query("commit"),
                                    QueryCancelled(client, "select 1; select pg_sleep(60); select 2", observer),
                                    client.Query("select 3")};
  });
}

TEST(Conformance, AKilledBackendEndsAtMostItsOwnSession) {
  Client observer(TheStack().direct());
  Client bystander(TheStack().proxied());
  bystander.Query("begin; create temp table kept (a int); insert into kept values (1)");
  Client victim(TheStack().proxied());
  victim.Query("begin");
  std::string pid = victim.Query("select pg_backend_pid() as pid");
  pid = pid.substr(pid.find('\n') + 1);
  observer.Query(fmt::format("select pg_terminate_backend({})", pid.substr(0, pid.find(' '))));
  std::string seen = victim.Query("select 1");
  EXPECT_TRUE(seen.find("57P01") != std::string::npos || seen.find("40001") != std::string::npos) << seen;
  EXPECT_NE(bystander.Query("select * from kept").find("\n1 "), std::string::npos);
  EXPECT_NE(bystander.Query("commit").find("idle"), std::string::npos);
  Client next(TheStack().proxied());
  EXPECT_NE(next.Query("select 7").find("\n7 "), std::string::npos);
}

TEST(Conformance, SessionsDoNotLeakIntoEachOther) {
  {
    Client first(TheStack().proxied());
    first.Query("set work_mem = '3MB'");
    first.Query("set time zone 'Asia/Tokyo'");
    first.Query("begin; set local datestyle = 'german'");
    first.Query("select pg_advisory_lock(4711)");
    first.Query("create temp table leak (a int)");
    first.Query("prepare leak as select 1");
  }
  for (int i = 0; i < 12; i++) {
    Client next(TheStack().proxied());
    EXPECT_NE(next.Query("show work_mem").find("\n4MB "), std::string::npos);
    EXPECT_EQ(next.Query("show timezone").find("Tokyo"), std::string::npos);
    EXPECT_EQ(next.Query("show datestyle").find("erman"), std::string::npos);
    EXPECT_NE(next.Query("select to_regclass('pg_temp.leak') is null").find("\nt "), std::string::npos);
    EXPECT_NE(next.Query("select pg_try_advisory_lock(4711)").find("\nt "), std::string::npos);
    EXPECT_NE(next.Query("execute leak").find("26000"), std::string::npos);
  }
}

// One client of the bank: transfers that end in every way there is.
void Transfer(int seed, int rounds) {
  std::mt19937 random(static_cast<unsigned>(seed));
  std::optional<Client> client;
  for (int round = 0; round < rounds; round++) {
    if (!client) client.emplace(TheStack().proxied());
    unsigned from = random() % 10;
    unsigned to = (from + 1 + random() % 9) % 10;
    // Always in the same order, so that there is no deadlock.
    std::string take = fmt::format("update bank set amount = amount - 1 where id = {}", from);
    std::string give = fmt::format("update bank set amount = amount + 1 where id = {}", to);
    if (from > to) std::swap(take, give);
    switch (random() % 6) {
      case 0:
        client->Query(take + ";" + give);
        break;
      case 1:
        client->Query("begin");
        client->Query(take);
        client->Query(give);
        client->Query("commit");
        break;
      case 2:
        client->Query("begin");
        client->Query(take);
        client->Query("rollback");
        break;
      case 3:
        client->Query(take + "; select 1/0; " + give);
        break;
      case 4:
        client->Query("begin");
        client->Query(take);
        client.reset();  // gone without a word
        break;
      default:
        client->Pipeline({take, give});
    }
  }
}

TEST(Conformance, ManyClientsMoveMoneyAndNoneIsLost) {
  Client owner(TheStack().direct());
  owner.Query(
      "drop table if exists bank; create table bank (id int primary key, amount int);"
      "insert into bank select i, 100 from generate_series(0, 9) i");
  constexpr int kClients = 24;
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; i++) clients.emplace_back(Transfer, i, 30);
  for (std::thread& client : clients) client.join();
  EXPECT_NE(owner.Query("select sum(amount) from bank").find("\n1000 "), std::string::npos);
  owner.Query("drop table bank");
}

TEST(Conformance, LargeResults) {
  ExpectSame([](Client& client) {
    std::string big = client.Query("select repeat('x', 3000000) from generate_series(1, 3)");
    std::string many = client.Query("select a, repeat('y', 100) from generate_series(1, 50000) a");
    return std::vector<std::string>{fmt::format("{} {}", big.size(), std::hash<std::string>()(big)),
                                    fmt::format("{} {}", many.size(), std::hash<std::string>()(many))};
  });
}

}  // namespace
}  // namespace multigres::conformance
