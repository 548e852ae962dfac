#include "common/sqlparse/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "common/sqlparse/lexer.h"
#include "common/sqlparse/shape.h"

namespace multigres::sqlparse {
namespace {

using Kind = StatementKind;

Statement One(std::string_view sql) {
  ParsedQuery query = Parse(sql);
  EXPECT_EQ(query.statements.size(), 1U) << sql;
  return query.statements.empty() ? Statement() : std::move(query.statements.front());
}

bool HasHazard(const Statement& statement, HazardKind kind) {
  return std::ranges::any_of(statement.hazards, [kind](const Hazard& hazard) { return hazard.kind == kind; });
}

TEST(Parser, NamesTheKindOfEachStatement) {
  struct Case {
    const char* sql;
    Kind kind;
  };
  const Case cases[] = {
      {"SELECT 1", Kind::kSelect},
      {"values (1)", Kind::kSelect},
      {"with a as (select 1) select * from a", Kind::kSelect},
      {"insert into t values (1)", Kind::kInsert},
      {"update t set a = 1", Kind::kUpdate},
      {"delete from t", Kind::kDelete},
      {"merge into t using s on t.a = s.a when matched then delete", Kind::kMerge},
      {"begin", Kind::kBegin},
      {"start transaction read only", Kind::kBegin},
      {"end", Kind::kCommit},
      {"commit and chain", Kind::kCommit},
      {"abort", Kind::kRollback},
      {"savepoint a", Kind::kSavepoint},
      {"release a", Kind::kReleaseSavepoint},
      {"rollback to a", Kind::kRollbackToSavepoint},
      {"prepare transaction 'x'", Kind::kPrepareTransaction},
      {"commit prepared 'x'", Kind::kCommitPrepared},
      {"rollback prepared 'x'", Kind::kRollbackPrepared},
      {"set a.b = 1", Kind::kSet},
      {"set local work_mem = '1MB'", Kind::kSet},
      {"set transaction isolation level serializable", Kind::kSetTransaction},
      {"set transaction_read_only = on", Kind::kSetTransaction},
      {"set session characteristics as transaction read only", Kind::kSetCharacteristics},
      {"reset work_mem", Kind::kReset},
      {"set work_mem to default", Kind::kReset},
      {"reset all", Kind::kResetAll},
      {"show work_mem", Kind::kShow},
      {"prepare p as select 1", Kind::kPrepare},
      {"execute p", Kind::kExecute},
      {"deallocate p", Kind::kDeallocate},
      {"deallocate all", Kind::kDeallocateAll},
      {"discard all", Kind::kDiscardAll},
      {"discard temp", Kind::kDiscardTemp},
      {"discard plans", Kind::kDiscardOther},
      {"copy t from stdin", Kind::kCopyFromStdin},
      {"copy (select 1) to stdout", Kind::kCopyToStdout},
      {"copy t from '/tmp/x'", Kind::kUtility},
      {"declare c cursor for select 1", Kind::kDeclareCursor},
      {"close c", Kind::kClose},
      {"close all", Kind::kCloseAll},
      {"listen c", Kind::kListen},
      {"unlisten *", Kind::kUnlisten},
      {"explain select 1", Kind::kExplain},
      {"create table t (a int)", Kind::kUtility},
      {"vacuum", Kind::kUtility},
      {"notify c, 'x'", Kind::kUtility},
  };
  for (const Case& each : cases) EXPECT_EQ(One(each.sql).kind, each.kind) << each.sql;
}

TEST(Parser, GivesEachStatementItsTextWithoutBlanksAndSemicolon) {
  std::string sql = " /* c */ SELECT ';' ; ;\n-- x\nBEGIN;select $q$;$q$ -- end";
  ParsedQuery query = Parse(sql);
  ASSERT_EQ(query.statements.size(), 3U);
  EXPECT_EQ(query.statements[0].Text(sql), "SELECT ';'");
  EXPECT_EQ(query.statements[1].Text(sql), "BEGIN");
  EXPECT_EQ(query.statements[2].Text(sql), "select $q$;$q$");
}

TEST(Parser, FindsNoStatementInBlanksAndComments) {
  EXPECT_TRUE(Parse("").statements.empty());
  EXPECT_TRUE(Parse(" ;; -- x\n /* y */ ;").statements.empty());
}

TEST(Parser, FlattensTheValueOfSetAsSetConfigTakesIt) {
  EXPECT_EQ(One("set work_mem = '4MB'").value, "4MB");
  EXPECT_EQ(One("set x.y = 10").value, "10");
  EXPECT_EQ(One("set geqo_seed = -0.5").value, "-0.5");
  EXPECT_EQ(One("set enable_seqscan = off").value, "off");
  EXPECT_EQ(One("set search_path = a, \"B c\", '$user'").value, "a, \"B c\", \"$user\"");
  EXPECT_EQ(One("set DateStyle = ISO, MDY").value, "iso, mdy");
  EXPECT_EQ(One("set DateStyle = ISO, MDY").name, "datestyle");
  EXPECT_EQ(One("set time zone 'UTC'").name, "timezone");
  EXPECT_EQ(One("set time zone interval '-08:00' hour to minute").value, "INTERVAL '-08:00'");
  EXPECT_EQ(One("set names 'UTF8'").name, "client_encoding");
  EXPECT_EQ(One("set role none").value, "none");
  EXPECT_EQ(One("set session authorization bob").name, "session_authorization");
  EXPECT_TRUE(One("set local work_mem = 1").is_local);
}

TEST(Parser, TellsWhichTransactionModesBeginAsksFor) {
  EXPECT_FALSE(One("begin").sets_isolation_or_deferrable);
  EXPECT_FALSE(One("begin").read_only.has_value());
  EXPECT_TRUE(One("begin isolation level serializable").sets_isolation_or_deferrable);
  EXPECT_TRUE(One("begin not deferrable").sets_isolation_or_deferrable);
  EXPECT_EQ(One("begin read only").read_only, true);
  EXPECT_EQ(One("begin read write").read_only, false);
}

TEST(Parser, TurnsSessionCharacteristicsIntoDefaults) {
  auto statement = One("set session characteristics as transaction isolation level serializable, read only");
  ASSERT_EQ(statement.settings.size(), 2U);
  EXPECT_EQ(statement.settings[0].name, "default_transaction_isolation");
  EXPECT_EQ(statement.settings[0].value, "serializable");
  EXPECT_EQ(statement.settings[1].name, "default_transaction_read_only");
  EXPECT_EQ(statement.settings[1].value, "on");
}

TEST(Parser, SeesWhatPinsASession) {
  EXPECT_TRUE(One("create temp table t (a int)").effects & kCreatesTemp);
  EXPECT_TRUE(One("create temporary sequence s").effects & kCreatesTemp);
  EXPECT_TRUE(One("create temp view v as select 1").effects & kCreatesTemp);
  EXPECT_TRUE(One("create temp table t as select 1").effects & kCreatesTemp);
  EXPECT_TRUE(One("select 1 as a into temp t").effects & kCreatesTemp);
  EXPECT_TRUE(One("explain analyze create temp table t as select 1").effects & kCreatesTemp);
  EXPECT_FALSE(One("explain create temp table t as select 1").effects & kCreatesTemp);
  EXPECT_FALSE(One("create table t (a int)").effects & kCreatesTemp);
  EXPECT_TRUE(One("select pg_advisory_lock(1)").effects & kTakesAdvisoryLock);
  EXPECT_TRUE(One("select 1 where pg_catalog.pg_try_advisory_lock_shared(1, 2)").effects & kTakesAdvisoryLock);
  EXPECT_FALSE(One("select pg_advisory_xact_lock(1)").effects & kTakesAdvisoryLock);
  EXPECT_FALSE(One("select other.pg_advisory_lock(1)").effects & kTakesAdvisoryLock);
  EXPECT_TRUE(One("select pg_advisory_unlock_all()").effects & kReleasesAdvisoryLock);
  EXPECT_TRUE(One("select setseed(0.5)").effects & kSetsSeed);
  EXPECT_TRUE(One("declare c cursor with hold for select 1").effects & kOpensHoldCursor);
  EXPECT_FALSE(One("create view v as select pg_advisory_lock(1)").effects & kTakesAdvisoryLock);
  EXPECT_TRUE(One("create unlogged table t (a int)").effects & kCreatesUnloggedTable);
}

TEST(Parser, SeesHazards) {
  EXPECT_TRUE(HasHazard(One("load 'x'"), HazardKind::kStatement));
  EXPECT_TRUE(HasHazard(One("alter system set a = 1"), HazardKind::kStatement));
  EXPECT_TRUE(HasHazard(One("create database d"), HazardKind::kStatement));
  EXPECT_TRUE(HasHazard(One("create language plperl"), HazardKind::kStatement));
  EXPECT_FALSE(HasHazard(One("create extension pgcrypto"), HazardKind::kStatement));
  EXPECT_TRUE(HasHazard(One("copy t to program 'x'"), HazardKind::kCopyProgram));
  EXPECT_TRUE(HasHazard(One("select length(pg_read_file('x'))"), HazardKind::kFunction));
  EXPECT_TRUE(HasHazard(One("select * from ext.dblink('a', 'b') as t(a int)"), HazardKind::kFunction));
  EXPECT_TRUE(HasHazard(One("create table pg_temp.t (a int)"), HazardKind::kCreateInPgTemp));
  EXPECT_FALSE(HasHazard(One("create temp table pg_temp.t (a int)"), HazardKind::kCreateInPgTemp));
  EXPECT_TRUE(HasHazard(One("create function pg_temp.f() returns int language sql as 'select 1'"),
                        HazardKind::kCreateInPgTemp));
  EXPECT_TRUE(HasHazard(One("set synchronous_commit = off"), HazardKind::kSynchronousCommit));
  EXPECT_FALSE(HasHazard(One("reset synchronous_commit"), HazardKind::kSynchronousCommit));
  EXPECT_TRUE(HasHazard(One("alter role r set synchronous_commit = off"), HazardKind::kSynchronousCommit));
  EXPECT_TRUE(HasHazard(One("set search_path = a, PG_TEMP"), HazardKind::kPgTempInSearchPath));
  EXPECT_TRUE(HasHazard(One("select pg_create_logical_replication_slot('a', 'b')"), HazardKind::kPermanentSlot));
  EXPECT_FALSE(HasHazard(One("select pg_create_logical_replication_slot('a', 'b', true)"), HazardKind::kPermanentSlot));
  EXPECT_FALSE(HasHazard(One("select pg_create_logical_replication_slot('a', 'b', temporary => true)"),
                         HazardKind::kPermanentSlot));
  EXPECT_TRUE(HasHazard(One("select current_setting('Statement_Timeout')"), HazardKind::kGatewayVariable));
}

TEST(Parser, TakesSetConfigApartAtTheTopOfASelect) {
  std::string sql = "SELECT pg_catalog.set_config('search_path', '', false)";
  Statement statement = One(sql);
  ASSERT_EQ(statement.set_config.size(), 1U);
  EXPECT_EQ(statement.set_config[0].name, "search_path");
  EXPECT_EQ(statement.set_config[0].value, "");
  EXPECT_EQ(sql.substr(statement.set_config[0].flag_begin,
                       statement.set_config[0].flag_end - statement.set_config[0].flag_begin),
            "false");
  EXPECT_TRUE(statement.hazards.empty());
  Statement reset = One("select set_config('work_mem', null, 'f')");
  ASSERT_EQ(reset.set_config.size(), 1U);
  EXPECT_EQ(reset.set_config[0].value, std::nullopt);
  EXPECT_TRUE(One("select set_config('work_mem', '1MB', true)").set_config.empty());
  EXPECT_TRUE(HasHazard(One("select 1 where set_config('a.b', 'c', false) = ''"), HazardKind::kSetConfigPlace));
  EXPECT_TRUE(One("select 1 where set_config('a.b', 'c', true) = ''").hazards.empty());
  EXPECT_TRUE(HasHazard(One("select set_config($1, 'c', false)"), HazardKind::kSetConfigBound));
  EXPECT_TRUE(HasHazard(One("select set_config('a.b', a, false) from t"), HazardKind::kSetConfigArgument));
  EXPECT_TRUE(HasHazard(One("select set_config('statement_timeout', '1', false)"), HazardKind::kGatewayVariable));
}

TEST(Parser, TakesSetConfigOfASettingThatMayNotExist) {
  Statement statement =
      One("SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_x'");
  ASSERT_EQ(statement.set_config.size(), 1U);
  EXPECT_EQ(statement.set_config[0].name, "restrict_x");
  EXPECT_TRUE(statement.set_config[0].from_pg_settings);
  EXPECT_TRUE(HasHazard(One("SELECT set_config(name, 'x', false) FROM pg_settings"), HazardKind::kSetConfigArgument));
  EXPECT_TRUE(HasHazard(One("SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'synchronous_commit'"),
                        HazardKind::kSynchronousCommit));
}

TEST(Parser, FindsTheBodyAndTheTypesOfPrepare) {
  std::string sql = "select 1; PREPARE \"P\" (int, numeric(10, 2), text[]) AS SELECT $1, $3";
  ParsedQuery query = Parse(sql);
  ASSERT_EQ(query.statements.size(), 2U);
  const Statement& prepare = query.statements[1];
  EXPECT_EQ(prepare.name, "P");
  ASSERT_EQ(prepare.type_names.size(), 3U);
  EXPECT_EQ(prepare.type_names[1].name, "numeric(10, 2)");
  EXPECT_EQ(sql.substr(prepare.type_names[2].begin, 6), "text[]");
  ASSERT_TRUE(prepare.body);
  EXPECT_EQ(prepare.body->Text(sql), "SELECT $1, $3");
  EXPECT_EQ(prepare.body->max_parameter, 3);
}

TEST(Parser, FindsTheNameThatExecuteRuns) {
  for (std::string sql : {"execute p(1, 'p')", "EXPLAIN (ANALYZE) EXECUTE P", "create table t as execute p (2)"}) {
    Statement statement = One(sql);
    EXPECT_EQ(statement.executes, "p");
    std::string name = sql.substr(statement.executes_begin, statement.executes_end - statement.executes_begin);
    EXPECT_EQ(IdentifierName(name), "p") << sql;
    EXPECT_GT(statement.executes_begin, 0U);
  }
}

TEST(Parser, ForwardsWhatTheGrammarDoesNotKnow) {
  Statement statement = One("SELECT JSON_TABLE(js, '$' COLUMNS (a int PATH '$.a')) , pg_advisory_lock(1)");
  EXPECT_FALSE(statement.parsed);
  EXPECT_EQ(statement.kind, Kind::kSelect);
  EXPECT_TRUE(statement.effects & kTakesAdvisoryLock);
  EXPECT_TRUE(HasHazard(One("select from from dblink('x')"), HazardKind::kFunction));
  EXPECT_TRUE(One("create temp some new thing").effects & kCreatesTemp);
}

TEST(Parser, RefusesUnknownFormsOfStatementsThatChangeTheSession) {
  Statement statement = One("SET TO x y");
  EXPECT_EQ(statement.kind, Kind::kSyntaxError);
  ASSERT_TRUE(statement.syntax_error);
  EXPECT_EQ(statement.syntax_error->sqlstate, "42601");
  EXPECT_GT(statement.syntax_error->position, 0);
  EXPECT_NE(statement.syntax_error->message.find("syntax error at or near"), std::string::npos);
}

TEST(Parser, ParsesTheOtherStatementsAroundAnUnknownOne) {
  std::string sql = "begin; selekt 1; commit";
  ParsedQuery query = Parse(sql);
  ASSERT_EQ(query.statements.size(), 3U);
  EXPECT_EQ(query.statements[0].kind, Kind::kBegin);
  EXPECT_FALSE(query.statements[1].parsed);
  EXPECT_EQ(query.statements[1].Text(sql), "selekt 1");
  EXPECT_EQ(query.statements[2].kind, Kind::kCommit);
}

TEST(Parser, FollowsStandardConformingStrings) {
  std::string sql = R"(select 'a\'; b'; select 1)";
  ParsedQuery query = Parse(sql, {.standard_conforming_strings = false});
  ASSERT_EQ(query.statements.size(), 2U);
  EXPECT_EQ(query.statements[0].Text(sql), R"(select 'a\'; b')");
}

TEST(Parser, KeepsSemicolonsOfRulesAndRoutineBodiesTogether) {
  EXPECT_EQ(Parse("create rule r as on insert to t do also (select 1; select 2); select 3").statements.size(), 2U);
  std::string routine =
      "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3";
  EXPECT_EQ(Parse(routine).statements.size(), 2U);
  EXPECT_EQ(Parse(routine + "; selekt").statements.size(), 3U);
}

TEST(Parser, SurvivesNestingThatWouldOverflowAStack) {
  for (const char* unit : {"+1", "||'x'", " union select 1", "::int", "[1]"}) {
    std::string sql = "select 1";
    for (int i = 0; i < 200'000; i++) sql += unit;
    EXPECT_EQ(One(sql).kind, Kind::kSelect);
  }
  std::string deep = "select " + std::string(100'000, '(') + "1" + std::string(100'000, ')');
  EXPECT_EQ(One(deep).kind, Kind::kSelect);
  std::string brackets = "select " + std::string(100'000, ')') + std::string(100'000, '[');
  EXPECT_EQ(One(brackets).kind, Kind::kSelect);
  std::string joins = "select * from a";
  for (int i = 0; i < 20'000; i++) joins += " join b on (1, 2) = (1, 2)";
  EXPECT_EQ(One(joins).kind, Kind::kSelect);
}

TEST(Parser, SurvivesAnyBytes) {
  std::mt19937 random(7);
  const std::string_view fragments[] = {
      "select",  "'",   "\"", "$$", "$a$", "/*",         "*/",   "--",   "\n",    ";",    "(",      ")",
      "begin",   "set", "x",  "=",  "1",   "\\",         "E'",   "U&",   "\0",    "\xff", "atomic", "execute",
      "prepare", "as",  ",",  "$1", "::",  "set_config", "copy", "from", "stdin", " "};
  for (int round = 0; round < 3000; round++) {
    std::string sql;
    auto length = random() % 20;
    for (std::size_t i = 0; i < length; i++) {
      sql += fragments[random() % std::size(fragments)];
      if (random() % 2) sql += ' ';
    }
    for (bool standard : {true, false}) {
      for (const Statement& statement : Parse(sql, {standard}).statements) {
        ASSERT_LE(statement.begin, statement.end);
        ASSERT_LE(statement.end, sql.size());
      }
    }
  }
}

TEST(Shape, LeavesOutLiteralsAndComments) {
  std::string a;
  std::string b;
  EXPECT_TRUE(AppendShape("select * from t where a = 1 and b = 'x' /* trace 17 */", true, a));
  EXPECT_TRUE(AppendShape("select * from t where a = 2345.5e3 and b = $$yy$$;", true, b));
  EXPECT_EQ(a, b);
  std::string c;
  EXPECT_TRUE(AppendShape("select * from t where a = $1 and b = 'x'", true, c));
  EXPECT_NE(a, c);
}

TEST(Shape, TellsDifferentStatementsApart) {
  auto shape = [](std::string_view sql) {
    std::string key;
    EXPECT_TRUE(AppendShape(sql, true, key)) << sql;
    return key;
  };
  EXPECT_NE(shape("select a b"), shape("select ab"));
  EXPECT_NE(shape("select \"A\""), shape("select a"));
  EXPECT_NE(shape("select 1 - -1"), shape("select 1 --1\n"));
  EXPECT_NE(shape("select 'a' 'b'"), shape("select 'a'"));
  EXPECT_EQ(shape("select 'a''b'"), shape("select E'a\\'b'"));
}

TEST(Shape, RefusesSeveralStatementsAndBrokenLiterals) {
  std::string key;
  EXPECT_FALSE(AppendShape("select 1; select 2", true, key));
  EXPECT_FALSE(AppendShape("select 'a", true, key));
  EXPECT_FALSE(AppendShape("select 1 /* x", true, key));
}

TEST(Lexer, ContinuesAStringAfterALineBreak) {
  std::string_view sql = "E'a' \n 'b\\'c' 'd'";
  Lexer lexer(sql, true);
  EXPECT_EQ(lexer.Text(lexer.Next()), "E'a' \n 'b\\'c'");
  EXPECT_EQ(lexer.Text(lexer.Next()), "'d'");
}

TEST(Utf8, AcceptsWhatPostgresAccepts) {
  EXPECT_TRUE(IsValidUtf8("aäö€😀"));
  EXPECT_FALSE(IsValidUtf8("\xff"));
  EXPECT_FALSE(IsValidUtf8("\xc0\x80"));
  EXPECT_FALSE(IsValidUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(IsValidUtf8(std::string_view("\0", 1)));
  EXPECT_FALSE(IsValidUtf8("\xe2\x82"));
}

}  // namespace
}  // namespace multigres::sqlparse
