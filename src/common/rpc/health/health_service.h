// grpc.health.v1.Health for the services of a server (grpc.io, "Health Checking").
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>

#include "common/rpc/server.h"
#include "grpc/health/v1/health.rpc.h"

namespace multigres::rpc::health {

// All services of the server, and the server as a whole (""), have one status.
class HealthService final : public ::grpc::health::v1::rpc::Health {
 public:
  // The server must outlive this and is asked for its services at each call.
  explicit HealthService(const Server& server, bool serving = true) : server_(server), serving_(serving) {}

  // Any thread. Watchers are told.
  void SetServing(bool serving);

  Awaitable<Result<::grpc::health::v1::HealthCheckResponse>> Check(
      ServerContext& context, const ::grpc::health::v1::HealthCheckRequest& request) override;
  // Ends only with the call (its cancellation at the server's stop included).
  Awaitable<Result<>> Watch(ServerContext& context, const ::grpc::health::v1::HealthCheckRequest& request,
                            ServerWriter<::grpc::health::v1::HealthCheckResponse>& writer) override;

 private:
  struct Watcher;
  class Registration;

  bool Knows(std::string_view service) const;

  const Server& server_;
  std::atomic<bool> serving_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Watcher>> watchers_;  // guarded by mutex_
};

}  // namespace multigres::rpc::health
