// A server of our runtime with the interoperability service, on a thread of its own.
#pragma once

#include <memory>

#include "common/rpc/health/health_service.h"
#include "common/rpc/reflection/reflection_service.h"
#include "common/rpc/server.h"
#include "hub.h"
#include "service.h"
#include "tools/async/reactor.h"

namespace multigres::interop {

class OurServer {
 public:
  explicit OurServer(rpc::ServerOptions options = {});
  ~OurServer();

  std::uint16_t port() const { return port_; }
  Hub& hub() { return hub_; }
  // Blocks until the server has stopped.
  void Stop(Duration grace);

 private:
  Hub hub_;
  InteropService service_{hub_};
  ReactorPool reactors_{1};
  std::unique_ptr<rpc::health::HealthService> health_;
  std::unique_ptr<rpc::reflection::ReflectionService> reflection_;
  std::unique_ptr<rpc::Server> server_;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
};

}  // namespace multigres::interop
