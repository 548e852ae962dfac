// What sessions see when a pooler stops serving from one moment to the next, because its server has died or it leads no
// longer: the service over a real PostgreSQL.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "common/mterrors/wire.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/superuser_pgtest.h"
#include "services/multipooler/grpcpoolerservice/pooler_service.h"

namespace multigres::pooler::grpcpoolerservice {
namespace {

using namespace std::chrono_literals;
using executor::reason::kTransaction;
using manager::RoutingRole;
using manager::ServingState;
using manager::ServingStatus;

constexpr ServingState kLeads{ServingStatus::kServing, RoutingRole::kPrimary, 1, 0};
constexpr ServingState kLeadsNoMore{ServingStatus::kDraining, RoutingRole::kReplica, 1, 0};

// A call whose client reads everything and never leaves.
class Call final : public rpc::ServerCall {
 public:
  explicit Call(Reactor& reactor) : reactor_(reactor) {}
  const rpc::Metadata& metadata() const override { return metadata_; }
  Deadline deadline() const override { return reactor_.clock().After(10s); }
  CancelToken& cancel() override { return cancel_; }
  Reactor& reactor() override { return reactor_; }
  const std::string& peer() const override { return peer_; }
  std::string_view peer_subject() const override { return {}; }
  void AddInitialMetadata(std::string, std::string) override {}
  void AddTrailingMetadata(std::string, std::string) override {}
  Awaitable<Result<bool>> Read(rpc::MessageLite&) override { co_return false; }
  Awaitable<Result<>> Write(const rpc::MessageLite& message) override {
    co_return TryWrite(message) ? Result<>() : Fail(Code::kInternal, "not what the call answers");
  }
  bool TryWrite(const rpc::MessageLite& message) override {
    multipoolerservice::StreamExecuteResponse response;
    if (!response.ParseFromString(message.SerializeAsString())) return false;
    if (response.has_reserved_state()) reserved = response.reserved_state().reserved_connection_id();
    return true;
  }

  std::uint64_t reserved = 0;

 private:
  Reactor& reactor_;
  rpc::Metadata metadata_;
  CancelToken cancel_;
  std::string peer_ = "test";
};

struct Pooler {
  explicit Pooler(Reactor& reactor) : reactor(reactor) {
    auto& server = test::PostgresServer::Shared();
    DataPathConfig config;
    config.pools.address = UnixAddress{server.socket_path()};
    config.pools.database = "postgres";
    config.pools.admin_user = server.user();
    config.pools.admin_password = server.password();
    config.pools.global_capacity = 4;
    config.shard = {"postgres", "default", "0-inf"};
    data_path = std::make_unique<PoolerDataPath>(std::vector<Reactor*>{&reactor}, std::move(config), Logger());
    service = std::make_unique<PoolerService>(PoolerServiceConfig{}, *data_path, board, Logger());
  }

  template <class Request>
  Request Filled(std::uint64_t reserved) {
    Request request;
    request.mutable_target()->set_database("postgres");
    request.mutable_target()->set_table_group("default");
    request.mutable_target()->set_shard("0-inf");
    request.mutable_target()->set_pooler_type(clustermetadata::PRIMARY);
    executor::testing::FillSuperuser(*request.mutable_options());
    request.mutable_options()->set_reserved_connection_id(reserved);
    return request;
  }

  // "ok" or the SQLSTATE that a gateway is told; `reserved` becomes the session's new reservation.
  Awaitable<std::string> Run(std::string sql, std::uint64_t& reserved, std::uint32_t reasons = 0) {
    auto request = Filled<multipoolerservice::StreamExecuteRequest>(reserved);
    request.set_query(std::move(sql));
    request.mutable_reservation_options()->set_reasons(reasons);
    Call call(reactor);
    rpc::ServerWriter<multipoolerservice::StreamExecuteResponse> writer(call);
    auto ran = co_await service->StreamExecute(call, request, writer);
    if (call.reserved != 0) reserved = call.reserved;
    co_return ran ? "ok" : mterrors::FromWire(ran.error()).sqlstate();
  }
  Awaitable<std::string> Conclude(multipoolerservice::TransactionConclusion conclusion, std::uint64_t reserved) {
    auto request = Filled<multipoolerservice::ConcludeTransactionRequest>(reserved);
    request.set_conclusion(conclusion);
    Call call(reactor);
    auto ran = co_await service->ConcludeTransaction(call, request);
    co_return ran ? "ok" : mterrors::FromWire(ran.error()).sqlstate();
  }

  Reactor& reactor;
  manager::ServingBoard board;
  std::unique_ptr<PoolerDataPath> data_path;
  std::unique_ptr<PoolerService> service;
};

void WithPooler(Awaitable<void> (*body)(Pooler&)) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor, Awaitable<void> (*body)(Pooler&)) -> Awaitable<void> {
    Pooler pooler(reactor);
    co_await pooler.data_path->Start();
    co_await pooler.data_path->Apply(kLeads);
    co_await body(pooler);
    co_await pooler.data_path->Stop();
  }(reactor, body));
}

std::string Psql(const std::string& sql) {
  return test::PostgresServer::Shared().Psql(sql).value_or("psql failed");
}

TEST(StoppedServing, ATransactionIsOverWithItsNextStatementAndItsLocksAreGone) {
  ASSERT_EQ(Psql("CREATE TABLE IF NOT EXISTS locked(v int); TRUNCATE locked"), "");
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    std::uint64_t reserved = 0;
    EXPECT_EQ(co_await pooler.Run("INSERT INTO locked VALUES (1); LOCK TABLE locked", reserved, kTransaction), "ok");
    EXPECT_NE(reserved, 0u);
    co_await pooler.data_path->Apply(kLeadsNoMore);
    EXPECT_EQ((co_await pooler.data_path->Collect()).reserved, 1u);
    EXPECT_EQ(co_await pooler.Run("INSERT INTO locked VALUES (2)", reserved), "40001");
    EXPECT_EQ((co_await pooler.data_path->Collect()).reserved, 0u);
    // Waits for the lock, if it's still there.
    EXPECT_EQ(Psql("SET lock_timeout = '10s'; BEGIN; LOCK TABLE locked; SELECT count(*) FROM locked; COMMIT"), "0");
    co_await pooler.data_path->Apply(kLeads);
    EXPECT_EQ(co_await pooler.Run("SELECT 1", reserved), "40001");
  });
}

TEST(StoppedServing, ACommitIsRefusedAndKnownNotToBeDone) {
  ASSERT_EQ(Psql("CREATE TABLE IF NOT EXISTS refused(v int); TRUNCATE refused"), "");
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    std::uint64_t reserved = 0;
    EXPECT_EQ(co_await pooler.Run("INSERT INTO refused VALUES (1)", reserved, kTransaction), "ok");
    co_await pooler.data_path->Apply(kLeadsNoMore);
    EXPECT_EQ(co_await pooler.Conclude(multipoolerservice::TRANSACTION_CONCLUSION_COMMIT, reserved), "40001");
    EXPECT_EQ((co_await pooler.data_path->Collect()).reserved, 0u);
    EXPECT_EQ(Psql("SELECT count(*) FROM refused"), "0");
  });
}

TEST(StoppedServing, WhatHoldsNoBackendIsToldThatItDidNotRun) {
  WithPooler([](Pooler& pooler) -> Awaitable<void> {
    co_await pooler.data_path->Apply(kLeadsNoMore);
    std::uint64_t reserved = 0;
    EXPECT_EQ(co_await pooler.Run("SELECT 1", reserved), "MTF01");
    EXPECT_EQ(co_await pooler.Run("SELECT 1", reserved, kTransaction), "MTF01");
    EXPECT_EQ(reserved, 0u);
  });
}

}  // namespace
}  // namespace multigres::pooler::grpcpoolerservice
