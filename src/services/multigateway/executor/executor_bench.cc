// What a statement costs the gateway between its message and its RPC, and back: plan, request, result. The pooler is a
// function call.
#include <benchmark/benchmark.h>

#include "common/pgwire/wire_writer.h"
#include "multipoolerservice.pb.h"
#include "query.pb.h"
#include "services/multigateway/executor/executor.h"
#include "services/multigateway/scatterconn/query_router.h"
#include "services/multigateway/scatterconn/scatter_conn.h"
#include "tools/async/reactor.h"

namespace multigres::gateway::executor {
namespace {

using queryservice::CallScope;
using queryservice::ExecuteOutcome;
using queryservice::ResultSink;

class InstantPooler final : public queryservice::QueryService, public scatterconn::QueryRouter {
 public:
  InstantPooler() {
    row_.mutable_result()->set_has_fields(true);
    row_.mutable_result()->add_fields()->set_name("abalance");
    row_.mutable_result()->set_passthrough_block(std::string(12, 'x'));
    row_.mutable_result()->set_passthrough_row_count(1);
    row_.mutable_result()->set_command_tag("SELECT 1");
  }
  Result<queryservice::QueryService*> QueryServiceFor(const ::query::Target&) override { return this; }
  queryservice::QueryService* QueryServiceByID(std::string_view) override { return this; }

  Awaitable<ExecuteOutcome> StreamExecute(const multipoolerservice::StreamExecuteRequest& request, CallScope,
                                          ResultSink& sink) override {
    return Answer(request.ByteSizeLong(), sink);
  }
  Awaitable<ExecuteOutcome> PortalStreamExecute(const multipoolerservice::PortalStreamExecuteRequest& request,
                                                CallScope, ResultSink& sink) override {
    return Answer(request.ByteSizeLong(), sink);
  }
  Awaitable<Result<multipoolerservice::DescribeResponse>> Describe(const multipoolerservice::DescribeRequest&,
                                                                   CallScope) override {
    co_return Fail(Code::kUnimplemented, "");
  }
  Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> CopyBidiExecute(
      const multipoolerservice::CopyBidiExecuteRequest&, CallScope) override {
    co_return Fail(Code::kUnimplemented, "");
  }
  Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> ConcludeTransaction(
      const multipoolerservice::ConcludeTransactionRequest&, CallScope) override {
    co_return Fail(Code::kUnimplemented, "");
  }
  Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> DiscardTempTables(
      const multipoolerservice::DiscardTempTablesRequest&, CallScope) override {
    co_return Fail(Code::kUnimplemented, "");
  }
  Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> ReleaseReservedConnection(
      const multipoolerservice::ReleaseReservedConnectionRequest&, CallScope) override {
    co_return Fail(Code::kUnimplemented, "");
  }
  Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> GetAuthCredentials(
      const multipoolerservice::GetAuthCredentialsRequest&, CallScope) override {
    co_return Fail(Code::kUnimplemented, "");
  }

 private:
  Awaitable<ExecuteOutcome> Answer(std::size_t request_bytes, ResultSink& sink) {
    benchmark::DoNotOptimize(request_bytes);
    payload_ = row_;
    auto taken = co_await sink.OnPayload(payload_);
    co_return ExecuteOutcome(std::move(taken), nullptr);
  }

  ::query::QueryResultPayload row_;
  ::query::QueryResultPayload payload_;
};

class NullSink final : public engine::ClientSink {
 public:
  void RowDescription(const engine::Fields&) override {}
  void NoData() override {}
  void DataRows(std::string&&, std::uint32_t, bool) override {}
  void CommandComplete(std::string_view) override {}
  void EmptyQuery() override {}
  void PortalSuspended() override {}
  void Notice(const PgDiagnostic&) override {}
  void CopyInResponse(std::int32_t, std::span<const std::int32_t>) override {}
  void CopyOutResponse(std::int32_t, std::span<const std::int32_t>) override {}
  void CopyData(std::string&&) override {}
  void CopyDone() override {}
  Awaitable<Result<engine::CopyInput>> ReadCopyInput() override { co_return Fail(Code::kUnimplemented, ""); }
  bool Overfull() const override { return false; }
  Awaitable<Result<>> Flush() override { co_return Result<>(); }
};

struct Fixture {
  explicit Fixture(Clock& clock)
      : buffer(clock, {}, capacity, nullptr, {}),
        scatter(pooler, buffer, clock),
        executor(scatter, clock, std::size_t{4} << 20) {
    session::Identity identity;
    identity.user = "postgres";
    identity.database = "postgres";
    identity.client_key = std::string(32, 'k');
    identity.server_key = std::string(32, 's');
    session.emplace(std::move(identity), session::Settings::Make({{"application_name", "bench"}, {"timezone", "UTC"}}),
                    session::GatewayVariables(), session::ReportedParameters({{"standard_conforming_strings", "on"}}));
  }
  InstantPooler pooler;
  buffer::BufferCapacity capacity{1};
  buffer::FailoverBuffer buffer;
  scatterconn::ScatterConn scatter;
  Executor executor;
  std::optional<session::Session> session;
  NullSink sink;
};

Awaitable<void> RunQueries(benchmark::State& state, Fixture& fixture, bool same_text) {
  int i = 0;
  std::string sql = "SELECT abalance FROM pgbench_accounts WHERE aid = 1;";
  while (state.KeepRunning()) {
    if (!same_text) sql = fmt::format("SELECT abalance FROM pgbench_accounts WHERE aid = {};", i++);
    CancelToken cancel;
    auto ran = co_await fixture.executor.StreamExecute(*fixture.session, sql, cancel, fixture.sink);
    benchmark::DoNotOptimize(ran);
  }
}

Awaitable<void> RunPortals(benchmark::State& state, Fixture& fixture) {
  auto parsed = fixture.executor.Parse(*fixture.session,
                                       {.name = "s", .query = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;"});
  benchmark::DoNotOptimize(parsed);
  std::string_view parameter(
      "\0\0\0\1"
      "7",
      5);
  while (state.KeepRunning()) {
    CancelToken cancel;
    auto bound =
        fixture.executor.Bind(*fixture.session, {.statement = "s", .parameters = pgwire::FieldList(1, parameter)});
    auto ran = co_await fixture.executor.PortalStreamExecute(*fixture.session, "", 0, true, Following::kSync, cancel,
                                                             fixture.sink);
    auto synced = co_await fixture.executor.Sync(*fixture.session, cancel, fixture.sink);
    benchmark::DoNotOptimize(bound);
    benchmark::DoNotOptimize(ran);
    benchmark::DoNotOptimize(synced);
  }
}

void BM_SimpleQuery(benchmark::State& state) {
  Reactor reactor;
  Fixture fixture(reactor.clock());
  RunOnReactor(reactor, RunQueries(state, fixture, state.range(0) == 1));
}
BENCHMARK(BM_SimpleQuery)->Arg(0)->Arg(1);

void BM_BindExecuteSync(benchmark::State& state) {
  Reactor reactor;
  Fixture fixture(reactor.clock());
  RunOnReactor(reactor, RunPortals(state, fixture));
}
BENCHMARK(BM_BindExecuteSync);

}  // namespace
}  // namespace multigres::gateway::executor

BENCHMARK_MAIN();
