// For tests: a pooler that answers what it is told to, behind real gRPC.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/rpc/server.h"
#include "multipoolermanagerdata.pb.h"
#include "multipoolermanagerservice.rpc.h"
#include "tools/async/event.h"

namespace multigres::admin {

class FakePooler final : public ::multipoolermanager::rpc::MultiPoolerManager {
 public:
  explicit FakePooler(Reactor& reactor) : server_(rpc::Server::Create({&reactor})) {
    server_->Register(*this);
    port_ = *server_->Listen(TcpAddress{"127.0.0.1", 0});
  }
  Awaitable<void> Stop(Reactor& reactor) { co_await server_->Stop(reactor.clock().After({})); }
  std::uint16_t port() const { return port_; }

  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> Status(
      rpc::ServerContext& context, const ::multipoolermanagerdata::StatusRequest& /*request*/) override {
    asked.Set();
    if (silent) {
      Event cancelled;
      auto subscription = context.cancel().OnCancel([&cancelled](CancelReason) { cancelled.Set(); });
      co_await cancelled.Wait();
    }
    if (!fails_with.empty()) co_return Fail(Code::kFailedPrecondition, fails_with);
    ::multipoolermanagerdata::StatusResponse response;
    response.mutable_status()->set_pooler_type(::clustermetadata::PRIMARY);
    response.mutable_status()->set_postgres_running(true);
    response.mutable_status()->mutable_postgres_action_duration()->set_seconds(3);
    response.mutable_consensus_status()->mutable_current_position()->set_lsn("0/3000060");
    if (promise) *response.mutable_consensus_status()->mutable_term_revocation() = *promise;
    co_return response;
  }
  Awaitable<Result<::multipoolermanagerdata::ResignLeadershipResponse>> ResignLeadership(
      rpc::ServerContext& /*context*/, const ::multipoolermanagerdata::ResignLeadershipRequest& /*request*/) override {
    ++resignations;
    if (!fails_with.empty()) co_return Fail(Code::kFailedPrecondition, fails_with);
    ::multipoolermanagerdata::ResignLeadershipResponse response;
    response.set_flush_lsn("0/3000060");
    co_return response;
  }
  Awaitable<Result<::multipoolermanagerdata::SetPostgresRestartsEnabledResponse>> SetPostgresRestartsEnabled(
      rpc::ServerContext& /*context*/,
      const ::multipoolermanagerdata::SetPostgresRestartsEnabledRequest& request) override {
    restarts.push_back(request.enabled());
    co_return ::multipoolermanagerdata::SetPostgresRestartsEnabledResponse();
  }

  Event asked;  // for its status
  bool silent = false;
  std::string fails_with;
  std::vector<bool> restarts;
  std::optional<::clustermetadata::TermRevocation> promise;
  int resignations = 0;

 private:
  std::unique_ptr<rpc::Server> server_;
  std::uint16_t port_ = 0;
};

}  // namespace multigres::admin
