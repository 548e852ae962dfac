#include "common/provisioner/gateway_check.h"

#include "common/pgclient/query.h"
#include "tools/async/event.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

Awaitable<Result<>> SelectOne(Reactor& reactor, GatewayAddress gateway) {
  pgclient::ConnectOptions options;
  TcpAddress address;
  address.host = gateway.host;
  address.port = gateway.port;
  options.address = address;
  options.user = gateway.user;
  options.database = gateway.database;
  options.secret = gateway.password;
  pgclient::Bounds bounds;
  bounds.deadline = reactor.clock().After(5s);
  auto connection = co_await pgclient::Connection::Open(reactor, std::move(options), bounds);
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  auto result = co_await pgclient::QuerySimple(**connection, "SELECT 1", bounds);
  (*connection)->Close();
  if (!result) co_return std::unexpected(std::move(result.error()));
  const auto answer = result->Scalar();
  if (answer != "1") {
    co_return Fail(Code::kInternal, fmt::format("SELECT 1 answered {}", answer.value_or("nothing")));
  }
  co_return Result<>();
}

Awaitable<Result<>> WaitForSelectOne(Reactor& reactor, GatewayAddress gateway, Deadline deadline) {
  for (;;) {
    auto selected = co_await SelectOne(reactor, gateway);
    if (selected) co_return selected;
    if (deadline.Passed(reactor.clock().Now() + 200ms)) co_return selected;
    co_await SleepFor(reactor.clock(), 200ms);
  }
}

}  // namespace multigres::provisioner
