#include <benchmark/benchmark.h>

#include "common/pgwire/backend.h"
#include "common/pgwire/framing.h"
#include "common/pgwire/frontend.h"

namespace multigres::pgwire {
namespace {

constexpr std::size_t kRows = 1'000'000;

const WireWriter& MillionRows() {
  static const WireWriter* rows = [] {
    auto* out = new WireWriter;
    const std::optional<std::string_view> columns[] = {"12345", "some text of a row", std::nullopt, "2024-01-01"};
    for (std::size_t i = 0; i < kRows; ++i) WriteDataRow(*out, columns);
    return out;
  }();
  return *rows;
}

// How a row block is cut off a buffer for the hop: lengths only.
void MeasureDataRows(benchmark::State& state) {
  const std::string_view all = MillionRows().view();
  for (auto _ : state) {
    std::string_view rest = all;
    std::size_t rows = 0;
    while (!rest.empty()) {
      const auto run = MeasureRun(rest, kDataRow, std::size_t{2} << 20);
      rows += run.frames;
      rest.remove_prefix(run.bytes);
    }
    benchmark::DoNotOptimize(rows);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRows));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * all.size()));
}
BENCHMARK(MeasureDataRows)->Unit(benchmark::kMillisecond);

void ReadDataRows(benchmark::State& state) {
  const std::string_view all = MillionRows().view();
  for (auto _ : state) {
    std::string_view rest = all;
    std::size_t bytes = 0;
    while (!rest.empty()) {
      const auto frame = PeekFrame(rest);
      const auto row = ReadDataRow((*frame)->body);
      for (const auto column : *row) bytes += column ? column->size() : 0;
      rest.remove_prefix((*frame)->size());
    }
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRows));
}
BENCHMARK(ReadDataRows)->Unit(benchmark::kMillisecond);

void BuildDataRow(benchmark::State& state) {
  const std::optional<std::string_view> columns[] = {"12345", "some text of a row", std::nullopt, "2024-01-01"};
  WireWriter out;
  for (auto _ : state) {
    WriteDataRow(out, columns);
    if (out.size() > 60000) out.Clear();
  }
}
BENCHMARK(BuildDataRow);

void BuildExtendedQuery(benchmark::State& state) {
  const std::optional<std::string_view> parameters[] = {"12345", "some text"};
  WireWriter out;
  for (auto _ : state) {
    WriteBind(out, {"", "ppstmt12", {}, {}}, parameters);
    WriteExecute(out, "");
    WriteSync(out);
    if (out.size() > 60000) out.Clear();
  }
}
BENCHMARK(BuildExtendedQuery);

void ReadBindMessage(benchmark::State& state) {
  const std::optional<std::string_view> parameters[] = {"12345", "some text"};
  WireWriter out;
  WriteBind(out, {"", "s12", {}, {}}, parameters);
  for (auto _ : state) {
    const auto frame = PeekFrame(out.view());
    auto bind = ReadBind((*frame)->body);
    benchmark::DoNotOptimize(bind);
  }
}
BENCHMARK(ReadBindMessage);

}  // namespace
}  // namespace multigres::pgwire

BENCHMARK_MAIN();
