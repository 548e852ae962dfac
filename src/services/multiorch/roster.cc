#include "services/multiorch/roster.h"

#include <algorithm>

#include "common/topoclient/components.h"
#include "multiorchservice.pb.h"
#include "multiorchservice.rpc.h"
#include "services/multiorch/health/health_board.h"

namespace multigres::orch {
namespace {

std::optional<Address> GrpcOf(const clustermetadata::MultiOrch& record) {
  const auto port = record.port_map().find("grpc");
  if (port == record.port_map().end() || port->second <= 0) return std::nullopt;
  return TcpAddress{record.hostname(), static_cast<std::uint16_t>(port->second)};
}

}  // namespace

Roster::Roster(topo::Store& store, const clustermetadata::ID& self, rpc::ChannelOptions channel)
    : store_(store), channel_(std::move(channel)), self_(self.cell(), self.name()) {}

Awaitable<void> Roster::Follow() {
  Clock& clock = store_.clock();
  bool readable = true;
  TimePoint changed_at = clock.Now();
  while (true) {
    const std::set<Place> places_before = Places();
    const auto attending_before = attending_;
    auto read = co_await Read(clock.After(kInterval));
    if (!read && std::exchange(readable, false)) {
      store_.logger().Warn("orchestrators not readable, the last known ones count", {{"error", read.error()}});
    }
    if (read) readable = true;
    co_await LookAround();
    if (Places() != places_before || attending_ != attending_before) changed_at = clock.Now();
    const bool eager = !known_ || clock.Now() - changed_at < kEagerFor;
    co_await SleepFor(clock, eager ? kEagerInterval : kInterval);
  }
}

std::set<Roster::Place> Roster::Places() const {
  std::set<Place> places;
  for (const auto& [place, address] : others_) places.insert(place);
  return places;
}

Awaitable<Result<>> Roster::Read(Deadline deadline) {
  auto records = co_await topo::ListAllComponents<clustermetadata::MultiOrch>(store_, {.deadline = deadline});
  if (!records) co_return std::unexpected(std::move(records.error()));
  others_.clear();
  for (const auto& record : *records) {
    Place place(record.value.id().cell(), record.value.id().name());
    if (place != self_) others_[std::move(place)] = GrpcOf(record.value);
  }
  read_ = true;
  co_return Result<>{};
}

Awaitable<void> Roster::LookAround() {
  std::map<Place, Shards> attending;
  const auto others = others_;
  for (const auto& [place, address] : others) {
    if (place > self_) break;
    if (!address) continue;
    auto shards = co_await Ask(*address);
    if (shards) attending[place] = std::move(*shards);
  }
  attending_ = std::move(attending);
  known_ = read_;
}

Awaitable<std::optional<Roster::Shards>> Roster::Ask(Address address) {
  const Deadline deadline = store_.clock().After(kAskTimeout);
  // A call that fails may have many reasons; nobody there has one.
  auto connected = co_await Connect(store_.reactor(), address, deadline);
  if (!connected) co_return Shards();
  auto channel = rpc::Channel::Create(store_.reactor(), std::move(address), channel_);
  rpc::CallOptions options;
  options.deadline = deadline;
  auto status = co_await ::multiorch::rpc::MultiOrchServiceClient(*channel).GetRecoveryStatus({}, options);
  co_await channel->Close();
  if (!status) co_return std::nullopt;
  Shards shards;
  if (!status->enabled()) co_return shards;
  for (const auto& shard : status->shards()) shards.insert(ShardName(shard));
  co_return shards;
}

int Roster::Rank(const clustermetadata::ShardKey& shard) const {
  const std::string name = ShardName(shard);
  const auto comes_first = [&](const auto& other) {
    if (other.first > self_) return false;
    const auto at = attending_.find(other.first);
    return at == attending_.end() || at->second.contains(name);
  };
  const auto rank = static_cast<int>(std::ranges::count_if(others_, comes_first));
  return known_ ? rank : std::max(rank, 1);
}

}  // namespace multigres::orch
