#include "services/multiorch/health/shard_view.h"

namespace multigres::orch {
namespace {

const ::multipoolermanagerdata::StatusResponse& StatusOf(const PoolerView& pooler) {
  return pooler.status == nullptr ? ::multipoolermanagerdata::StatusResponse::default_instance() : *pooler.status;
}

}  // namespace

const ::multipoolermanagerdata::Status& PoolerView::postgres() const {
  return StatusOf(*this).status();
}

const ::clustermetadata::ConsensusStatus& PoolerView::consensus() const {
  return StatusOf(*this).consensus_status();
}

const ::clustermetadata::AvailabilityStatus& PoolerView::availability() const {
  return StatusOf(*this).availability_status();
}

::clustermetadata::PoolerAddress PoolerView::Address() const {
  ::clustermetadata::PoolerAddress address;
  *address.mutable_id() = record->id();
  address.set_host(record->hostname());
  auto port = record->port_map().find("postgres");
  if (port != record->port_map().end()) address.set_postgres_port(port->second);
  return address;
}

const PoolerView* ShardView::Find(std::string_view member) const {
  auto at = std::ranges::find(poolers, member, &PoolerView::member);
  return at == poolers.end() ? nullptr : &*at;
}

}  // namespace multigres::orch
