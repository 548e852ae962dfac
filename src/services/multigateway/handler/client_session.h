// One client from its first byte to its last.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "services/multigateway/auth/credentials.h"
#include "services/multigateway/cancel/cancel_registry.h"
#include "services/multigateway/executor/executor.h"
#include "services/multigateway/listener/startup.h"
#include "tools/log/logger.h"

namespace multigres::gateway::handler {

class Handler;

struct SessionConfig {
  listener::StartupOptions startup;
  Duration authentication_timeout = std::chrono::minutes(1);  // 0 = none
  std::int32_t statement_timeout_ms = 0;                      // a session's default; 0 = none
  bool target_replica = false;                                // the port is for reads on standbys
  std::string mock_secret;                                    // for the salts of roles that don't exist
};

// Sessions of one reactor that came in on one port. Serve() is a coroutine per client; the owner joins them after
// Shutdown().
class ClientSessions {
 public:
  // `route_cancel` takes a CancelRequest to the gateway that owns its process id; the client is let go
  // when it returns.
  ClientSessions(Reactor& reactor, SessionConfig config, auth::CredentialSource& credentials,
                 executor::Executor& executor, cancel::CancelRegistry& registry,
                 std::function<Awaitable<void>(listener::CancelRequest)> route_cancel, Logger logger);

  // Returns when the client is gone and everything of it is given back.
  Awaitable<void> Serve(std::unique_ptr<ByteStream> stream);
  // Ends every session that is idle (57P01), and the others when they are.
  void Shutdown();
  // Ends them all: running statements are cancelled, transactions rolled back.
  void Abort();
  // Clients connected now, those that are still logging in among them.
  std::size_t size() const { return connected_; }

 private:
  Awaitable<void> ServeConnection(listener::ClientConnection& client);
  Awaitable<void> RunSession(listener::ClientConnection& client, listener::StartupRequest request);

  Reactor& reactor_;
  SessionConfig config_;
  auth::CredentialSource& credentials_;
  executor::Executor& executor_;
  cancel::CancelRegistry& registry_;
  std::function<Awaitable<void>(listener::CancelRequest)> route_cancel_;
  Logger logger_;
  bool shutting_down_ = false;
  std::size_t connected_ = 0;
  std::set<Handler*> handlers_;
  std::set<listener::ClientConnection*> logging_in_;
};

}  // namespace multigres::gateway::handler
