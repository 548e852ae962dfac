#include "services/multigateway/poolergateway/grpc_health_source.h"

#include "multipoolerservice.pb.h"

namespace multigres::gateway::poolergateway {
namespace {

class GrpcStream final : public HealthSource::Stream {
 public:
  GrpcStream(std::shared_ptr<rpc::Channel> channel, std::unique_ptr<rpc::ClientCall> call)
      : channel_(std::move(channel)), call_(std::move(call)) {}
  Awaitable<Result<bool>> Read(multipoolerservice::StreamPoolerHealthResponse& message) override {
    return call_->Read(message);
  }
  void Cancel() override { call_->Cancel(); }

 private:
  std::shared_ptr<rpc::Channel> channel_;
  std::unique_ptr<rpc::ClientCall> call_;
};

class NoStream final : public HealthSource::Stream {
 public:
  explicit NoStream(Error error) : error_(std::move(error)) {}
  Awaitable<Result<bool>> Read(multipoolerservice::StreamPoolerHealthResponse& /*message*/) override {
    co_return std::unexpected(error_);
  }
  void Cancel() override {}

 private:
  Error error_;
};

Awaitable<void> CloseChannel(std::shared_ptr<rpc::Channel> channel) {
  co_await channel->Close();
}

}  // namespace

GrpcHealthSource::GrpcHealthSource(Reactor& reactor, rpc::ChannelOptions options)
    : reactor_(reactor), options_(std::move(options)), tasks_(reactor.executor()) {}

GrpcHealthSource::~GrpcHealthSource() = default;

std::unique_ptr<HealthSource::Stream> GrpcHealthSource::Open(const PoolerRecord& pooler) {
  Peer& peer = peers_[pooler.id];
  if (peer.address != pooler.address) {
    if (peer.channel) Retire(std::move(peer.channel));
    peer.address = pooler.address;
  }
  if (!peer.channel) {
    auto address = ParseAddress(pooler.address);
    if (!address) return std::make_unique<NoStream>(std::move(address.error()));
    peer.channel = rpc::Channel::Create(reactor_, *address, options_);
  }
  auto call =
      peer.channel->StartCall("/multipoolerservice.MultiPoolerService/StreamPoolerHealth", {.wait_for_ready = true});
  call->WriteLast(multipoolerservice::StreamPoolerHealthRequest());
  return std::make_unique<GrpcStream>(peer.channel, std::move(call));
}

void GrpcHealthSource::Forget(std::string_view pooler_id) {
  auto it = peers_.find(pooler_id);
  if (it == peers_.end()) return;
  if (it->second.channel) Retire(std::move(it->second.channel));
  peers_.erase(it);
}

void GrpcHealthSource::Retire(std::shared_ptr<rpc::Channel> channel) {
  tasks_.Spawn("close health channel", CloseChannel(std::move(channel)));
}

Awaitable<void> GrpcHealthSource::Stop() {
  while (!peers_.empty()) Forget(std::string(peers_.begin()->first));
  co_await tasks_.Join();
}

}  // namespace multigres::gateway::poolergateway
