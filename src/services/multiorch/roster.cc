#include "services/multiorch/roster.h"

#include <algorithm>

#include "common/topoclient/components.h"

namespace multigres::orch {
namespace {

std::optional<Address> GrpcOf(const clustermetadata::MultiOrch& record) {
  const auto port = record.port_map().find("grpc");
  if (port == record.port_map().end() || port->second <= 0) return std::nullopt;
  return TcpAddress{record.hostname(), static_cast<std::uint16_t>(port->second)};
}

}  // namespace

Roster::Roster(topo::Store& store, const clustermetadata::ID& self) : store_(store), self_(self.cell(), self.name()) {}

Awaitable<void> Roster::Follow() {
  bool readable = true;
  while (true) {
    auto read = co_await Read(store_.clock().After(kInterval));
    if (!read && std::exchange(readable, false)) {
      store_.logger().Warn("orchestrators not readable, the last known ones count", {{"error", read.error()}});
    }
    if (read) readable = true;
    co_await LookAround();
    co_await SleepFor(store_.clock(), kInterval);
  }
}

Awaitable<Result<>> Roster::Read(Deadline deadline) {
  auto records = co_await topo::ListAllComponents<clustermetadata::MultiOrch>(store_, {.deadline = deadline});
  if (!records) co_return std::unexpected(std::move(records.error()));
  others_.clear();
  for (const auto& record : *records) {
    Place place(record.value.id().cell(), record.value.id().name());
    if (place != self_) others_[std::move(place)] = GrpcOf(record.value);
  }
  co_return Result<>{};
}

Awaitable<void> Roster::LookAround() {
  std::set<Place> absent;
  const auto others = others_;
  for (const auto& [place, address] : others) {
    if (place > self_) break;
    if (!address) continue;
    auto connected = co_await Connect(store_.reactor(), *address, store_.clock().After(kConnectTimeout));
    if (!connected) absent.insert(place);
  }
  absent_ = std::move(absent);
}

int Roster::Rank() const {
  return static_cast<int>(std::ranges::count_if(
      others_, [this](const auto& other) { return other.first < self_ && !absent_.contains(other.first); }));
}

}  // namespace multigres::orch
