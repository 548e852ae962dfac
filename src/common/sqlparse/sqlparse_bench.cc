#include <benchmark/benchmark.h>

#include <string>

#include "common/sqlparse/parser.h"
#include "common/sqlparse/shape.h"

namespace multigres::sqlparse {
namespace {

constexpr std::string_view kShort = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";

void BM_Shape(benchmark::State& state) {
  std::string key;
  while (state.KeepRunning()) {
    key.clear();
    benchmark::DoNotOptimize(AppendShape(kShort, true, key));
  }
}
BENCHMARK(BM_Shape);

void BM_Parse(benchmark::State& state) {
  while (state.KeepRunning()) benchmark::DoNotOptimize(Parse(kShort));
}
BENCHMARK(BM_Parse);

void BM_ParseLongInsert(benchmark::State& state) {
  std::string sql = "INSERT INTO t VALUES ";
  for (int i = 0; i < 1000; i++) sql += (i == 0 ? "(" : ", (") + std::to_string(i) + ", 'some text here')";
  while (state.KeepRunning()) benchmark::DoNotOptimize(Parse(sql));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * sql.size()));
}
BENCHMARK(BM_ParseLongInsert);

}  // namespace
}  // namespace multigres::sqlparse

BENCHMARK_MAIN();
