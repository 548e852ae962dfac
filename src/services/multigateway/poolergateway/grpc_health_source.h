// Health streams of real poolers, each over a channel of its own.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/rpc/channel.h"
#include "services/multigateway/poolergateway/health_monitor.h"

namespace multigres::gateway::poolergateway {

class GrpcHealthSource final : public HealthSource {
 public:
  GrpcHealthSource(Reactor& reactor, rpc::ChannelOptions options);
  ~GrpcHealthSource() override;

  std::unique_ptr<Stream> Open(const PoolerRecord& pooler) override;
  void Forget(std::string_view pooler_id) override;
  // After the last stream is gone.
  Awaitable<void> Stop();

 private:
  struct Peer {
    std::string address;
    std::shared_ptr<rpc::Channel> channel;
  };
  void Retire(std::shared_ptr<rpc::Channel> channel);

  Reactor& reactor_;
  rpc::ChannelOptions options_;
  std::map<std::string, Peer, std::less<>> peers_;
  TaskGroup tasks_;
};

}  // namespace multigres::gateway::poolergateway
