#include "services/multigateway/cancel/cancel_router.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/components.h"
#include "common/topoclient/names.h"
#include "multigatewayservice.pb.h"
#include "multigatewayservice.rpc.h"

namespace multigres::gateway::cancel {

namespace {
constexpr Duration kRefresh = std::chrono::minutes(5);
constexpr Duration kPatience = std::chrono::seconds(5);
}  // namespace

CancelRouter::CancelRouter(CancelRegistry& registry, topo::Store& store, rpc::ChannelOptions channel)
    : registry_(registry), store_(store), channel_(std::move(channel)), stale_(store.clock().Now()) {}

Awaitable<void> CancelRouter::Route(std::uint32_t process_id, std::string secret_key, bool replica) {
  if (PrefixOf(process_id) == registry_.prefix()) {
    (void)co_await registry_.Cancel(store_.reactor(), process_id, std::move(secret_key));
    co_return;
  }
  co_await PassOn(process_id, std::move(secret_key), replica);
}

Awaitable<void> CancelRouter::PassOn(std::uint32_t process_id, std::string secret_key, bool replica) {
  const std::string text = co_await AddressOf(PrefixOf(process_id));
  if (text.empty()) co_return;
  auto address = ParseAddress(text);
  if (!address) co_return;
  // Cancels are rare: a connection for each is simpler than keeping some.
  auto channel = rpc::Channel::Create(store_.reactor(), std::move(*address), channel_);
  multigatewayservice::rpc::MultiGatewayServiceClient client(*channel);
  multigatewayservice::CancelQueryRequest request;
  request.set_process_id(process_id);
  request.set_secret_key(std::move(secret_key));
  request.set_replica(replica);
  rpc::CallOptions options;
  options.deadline = store_.clock().After(kPatience);
  options.wait_for_ready = true;
  auto answered = co_await client.CancelQuery(std::move(request), std::move(options));
  if (!answered) store_.logger().Warn("cancel request not delivered", {{"error", answered.error()}});
  co_await channel->Close();
}

Awaitable<std::string> CancelRouter::AddressOf(std::uint32_t prefix) {
  auto it = addresses_.find(prefix);
  if (it == addresses_.end() || stale_.Passed(store_.clock().Now())) {
    (void)co_await Rebuild();
    it = addresses_.find(prefix);
  }
  co_return it == addresses_.end() ? std::string() : it->second;
}

Awaitable<bool> CancelRouter::Rebuild() {
  auto gateways = co_await topo::ListAllComponents<clustermetadata::MultiGateway>(
      store_, {.deadline = store_.clock().After(kPatience)});
  // What is known stays good enough while the topology can't be read.
  if (!gateways) co_return false;
  addresses_.clear();
  for (const auto& gateway : *gateways) {
    addresses_[gateway.value.pid_prefix()] = topo::GrpcAddress(gateway.value);
  }
  stale_ = store_.clock().After(kRefresh);
  co_return true;
}

}  // namespace multigres::gateway::cancel
