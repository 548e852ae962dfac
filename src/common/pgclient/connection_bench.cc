// Against a real server; the server's own time is most of a round trip, so compare CPU, and libpq beside it.
#include <benchmark/benchmark.h>
#include <libpq-fe.h>

#include "common/pgclient/query.h"
#include "test/support/postgres.h"

namespace multigres::pgclient {
namespace {

using test::PostgresServer;

ConnectOptions Options() {
  auto& server = PostgresServer::Shared();
  ConnectOptions options;
  options.address = UnixAddress{server.socket_path()};
  options.user = server.user();
  options.secret = server.password();
  return options;
}

using Loop = Awaitable<void> (*)(Connection& connection, benchmark::State& state);

void Run(benchmark::State& state, Loop loop) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor, benchmark::State& state, Loop loop) -> Awaitable<void> {
    auto opened = co_await Connection::Open(reactor, Options(), {});
    if (!opened) {
      state.SkipWithError(opened.error().ToString().c_str());
      co_return;
    }
    co_await loop(**opened, state);
    (*opened)->Close();
  }(reactor, state, loop));
}

// Reads a reply's messages: awaits the first, takes what came with it.
Awaitable<bool> ReadToSync(Connection& connection) {
  while (!connection.in_sync()) {
    auto ready = connection.TryNextBlock();
    if (ready && *ready) continue;
    auto block = co_await connection.NextBlock({});
    if (!block) co_return false;
  }
  co_return true;
}

void PreparedSelect(benchmark::State& state) {
  Run(state, [](Connection& connection, benchmark::State& state) -> Awaitable<void> {
    connection.SendParse("s", "SELECT $1::int");
    connection.SendSync();
    co_await ReadToSync(connection);
    const std::optional<std::string_view> parameters[] = {"7"};
    for (auto _ : state) {
      connection.SendBind({"", "s", {}, {}}, parameters);
      connection.SendExecute("");
      connection.SendSync();
      if (!co_await ReadToSync(connection)) state.SkipWithError("lost");
    }
  });
}
BENCHMARK(PreparedSelect)->Unit(benchmark::kMicrosecond);

void PreparedSelectByLibpq(benchmark::State& state) {
  PGconn* connection = PQconnectdb(PostgresServer::Shared().conninfo().c_str());
  PQclear(PQprepare(connection, "s", "SELECT $1::int", 1, nullptr));
  const char* const values[] = {"7"};
  for (auto _ : state) PQclear(PQexecPrepared(connection, "s", 1, values, nullptr, nullptr, 0));
  PQfinish(connection);
}
BENCHMARK(PreparedSelectByLibpq)->Unit(benchmark::kMicrosecond);

// 32 statements in flight: what a shared connection costs a statement when its round trip is hidden.
void PipelinedSelect(benchmark::State& state) {
  Run(state, [](Connection& connection, benchmark::State& state) -> Awaitable<void> {
    connection.SendParse("s", "SELECT $1::int");
    connection.SendSync();
    co_await ReadToSync(connection);
    const std::optional<std::string_view> parameters[] = {"7"};
    for (auto _ : state) {
      for (int i = 0; i < 32; ++i) {
        connection.SendBind({"", "s", {}, {}}, parameters);
        connection.SendExecute("");
        connection.SendSync();
      }
      if (!co_await ReadToSync(connection)) state.SkipWithError("lost");
    }
    state.SetItemsProcessed(state.iterations() * 32);
  });
}
BENCHMARK(PipelinedSelect)->Unit(benchmark::kMicrosecond);

void MillionRowsInBlocks(benchmark::State& state) {
  Run(state, [](Connection& connection, benchmark::State& state) -> Awaitable<void> {
    std::size_t bytes = 0;
    for (auto _ : state) {
      connection.SendQuery("SELECT i, 'some text of a row' FROM generate_series(1, 1000000) i");
      while (!connection.in_sync()) {
        auto block = co_await connection.NextBlock({});
        if (!block) co_return;
        bytes += block->bytes.size();
      }
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  });
}
BENCHMARK(MillionRowsInBlocks)->Unit(benchmark::kMillisecond);

void ConnectByPassword(benchmark::State& state) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor, benchmark::State& state) -> Awaitable<void> {
    for (auto _ : state) {
      auto opened = co_await Connection::Open(reactor, Options(), {});
      if (!opened) state.SkipWithError(opened.error().ToString().c_str());
    }
  }(reactor, state));
}
BENCHMARK(ConnectByPassword)->Unit(benchmark::kMicrosecond)->Iterations(50);

}  // namespace
}  // namespace multigres::pgclient

BENCHMARK_MAIN();
