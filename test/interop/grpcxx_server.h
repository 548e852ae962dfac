// A grpc++ server with the interoperability service.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "hub.h"
#include "tools/clock/clock.h"

namespace multigres::interop {

class GrpcxxServer {
 public:
  // `configure` may set channel arguments of the server; its limits already allow what the tests send.
  explicit GrpcxxServer(
      const std::function<void(grpc::ServerBuilder&)>& configure = {},
      const std::shared_ptr<grpc::ServerCredentials>& credentials = grpc::InsecureServerCredentials());
  ~GrpcxxServer();

  std::uint16_t port() const { return port_; }
  Hub& hub() { return hub_; }
  grpc::Server& server() { return *server_; }
  // GOAWAY, then blocks until open calls have ended or the grace is over.
  void Stop(Duration grace);

 private:
  Hub hub_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace multigres::interop
