// What one reactor of a gateway has: its listeners, its clients, and its way to the poolers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/multigateway/auth/credentials.h"
#include "services/multigateway/buffer/failover_buffer.h"
#include "services/multigateway/executor/executor.h"
#include "services/multigateway/handler/client_session.h"
#include "services/multigateway/poolergateway/pooler_gateway.h"
#include "services/multigateway/scatterconn/scatter_conn.h"
#include "tools/async/task_group.h"
#include "tools/net/socket.h"

namespace multigres::gateway {

// Built anywhere; every other call on its reactor. Stop() must be awaited before destruction.
class FrontEnd {
 public:
  struct Options {
    poolergateway::PoolerGatewayOptions poolers;
    handler::SessionConfig sessions;  // target_replica is set per port
    std::size_t plan_cache_bytes = 0;
    buffer::BufferConfig buffer;
    std::shared_ptr<buffer::BufferCapacity> buffer_capacity;  // shared by all reactors; null = this one's own
    buffer::BufferMetrics* buffer_metrics = nullptr;          // may be null
  };
  // `route_cancel` is called on this reactor.
  FrontEnd(Reactor& reactor, Options options, cancel::CancelRegistry& registry,
           std::function<Awaitable<void>(listener::CancelRequest)> route_cancel, Logger logger);
  ~FrontEnd();

  // Accepts clients at `address` from now on. All reactors listen on the same one; the kernel spreads the clients.
  Result<> Listen(const Address& address, bool target_replica);
  // No new clients. Those that are idle are told to go, the others as soon as they are; at the deadline all of them.
  Awaitable<void> Drain(Deadline deadline);
  Awaitable<void> Stop();

  Reactor& reactor() { return reactor_; }
  poolergateway::PoolerGateway& poolers() { return poolers_; }
  std::size_t clients() const { return primary_.size() + replica_.size(); }

 private:
  Awaitable<void> Accept(Listener& listener, handler::ClientSessions& sessions);

  Reactor& reactor_;
  poolergateway::PoolerGateway poolers_;
  std::shared_ptr<buffer::BufferCapacity> buffer_capacity_;
  buffer::FailoverBuffer buffer_;
  scatterconn::ScatterConn scatter_conn_;
  executor::Executor executor_;
  auth::CredentialSource credentials_;
  handler::ClientSessions primary_;
  handler::ClientSessions replica_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  TaskGroup acceptors_;
  TaskGroup clients_;
};

}  // namespace multigres::gateway
