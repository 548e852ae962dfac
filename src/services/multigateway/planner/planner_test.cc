#include "services/multigateway/planner/planner.h"

#include <gtest/gtest.h>

#include "common/sqlparse/parser.h"

namespace multigres::gateway::planner {
namespace {

std::string PlanOf(std::string_view sql) {
  sqlparse::ParsedQuery query = sqlparse::Parse(sql);
  if (query.statements.size() != 1) return "not one statement";
  return MakePlan(query.statements.front(), sql)->ToString();
}

TEST(Planner, PlansEachStatementByItsKind) {
  struct Case {
    const char* sql;
    const char* plan;
  };
  const Case cases[] = {
      {"select 1", "Route cacheable"},
      {"insert into t values ($1) returning a", "Route cacheable"},
      {"select pg_advisory_lock(1)", "Route +advisory_lock recheck_advisory_locks cacheable"},
      {"select pg_advisory_unlock(1)", "Route recheck_advisory_locks cacheable"},
      {"select setseed(1)", "Route +setseed cacheable"},
      {"select 1 as a into temp t", "Route +temp_table"},
      {"select set_config('a.b', 'c', true)", "Route"},
      {"select set_config('a.b', 'c', false)", "SetConfigSelect(a.b=c;)"},
      {"begin isolation level serializable", "Begin"},
      {"commit", "COMMIT"},
      {"rollback and chain", "ROLLBACK AND CHAIN"},
      {"savepoint a", "SAVEPOINT a"},
      {"release a", "RELEASE SAVEPOINT a"},
      {"rollback to a", "ROLLBACK TO SAVEPOINT a"},
      {"prepare transaction 'x'", "PrepareTransaction"},
      {"commit prepared 'x'", "Route"},
      {"set work_mem = '1MB'", "SetVariable(work_mem=1MB;)"},
      {"set local work_mem = '1MB'", "Route"},
      {"set seed = 0.5", "Route +setseed"},
      {"set transaction read only", "Route"},
      {"set session characteristics as transaction read only", "SetVariable(default_transaction_read_only=on;)"},
      {"reset work_mem", "ResetVariable(work_mem)"},
      {"reset all", "ResetAll"},
      {"set statement_timeout = '1s'", "SetGatewayVariable(statement_timeout=1s)"},
      {"set local idle_session_timeout = 1", "SetGatewayVariable(local idle_session_timeout=1)"},
      {"set statement_timeout to default", "SetGatewayVariable(statement_timeout=default)"},
      {"show statement_timeout", "ShowGatewayVariable(statement_timeout)"},
      {"show work_mem", "Route"},
      {"prepare p (int) as select $1", "Prepare(p int: Route cacheable)"},
      {"prepare p as select pg_read_file('x')",
       "Reject(0A000 function pg_read_file is not supported for security reasons through the connection pooler)"},
      {"execute p(1)", "ExecutePrepared(p)"},
      {"explain execute p", "ExecutePrepared(p)"},
      {"create temp table t as execute p", "ExecutePrepared(p) +temp_table"},
      {"deallocate all", "Deallocate(all)"},
      {"discard all", "DiscardAll"},
      {"discard temp", "DiscardTemp"},
      {"discard plans", "Route"},
      {"copy t from stdin", "CopyFromStdin"},
      {"copy t to stdout", "CopyToStdout"},
      {"copy t to '/x'", "Route"},
      {"declare c cursor for select 1", "Route"},
      {"declare c cursor with hold for select 1", "DeclareHoldCursor(c) +portal +cursor(c)"},
      {"close c", "CloseCursor(c)"},
      {"close all", "CloseCursor(all)"},
      {"create temp table t (a int)", "Route +temp_table"},
      {"create unlogged table t (a int)", "Route warns(unlogged table data is not replicated and is lost on failover)"},
      {"listen c", "Reject(0A000 LISTEN is not supported through the connection pooler)"},
      {"unlisten *", "FixedTag(UNLISTEN)"},
      {"notify c", "Route"},
      {"alter system set a = 1", "Reject(0A000 ALTER SYSTEM is not supported through the connection pooler)"},
      {"copy t from program 'x'", "Reject(0A000 COPY with PROGRAM not supported for security reasons)"},
      {"select set_config($1, 'a', false)",
       "Reject(0A000 set_config with a bound name argument is not supported through the connection pooler)"},
      {"set synchronous_commit = off",
       "Reject(0A000 setting synchronous_commit is not supported: the cluster's durability policy governs it)"},
      {"set to to to", "Reject(42601 syntax error at or near \"to\")"},
      {"some future statement", "Route"},
  };
  for (const Case& each : cases) EXPECT_EQ(PlanOf(each.sql), each.plan) << each.sql;
}

}  // namespace
}  // namespace multigres::gateway::planner
