// The services of a cluster as its topology has them, for people: the /services page and the proxy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/topoclient/store.h"
#include "tools/net/socket.h"

namespace multigres::admin {

enum class ServiceKind : std::uint8_t { kGateway, kPooler, kOrch };

// As in the proxy's paths: gate, pool, orch.
std::string_view PathName(ServiceKind kind);
std::optional<ServiceKind> ParseServiceKind(std::string_view path_name);
// "multigateway"
std::string_view Title(ServiceKind kind);

struct DiscoveredService {
  ServiceKind kind;
  std::string name;                // within its cell
  std::optional<TcpAddress> http;  // of its status page; none if it registered no such port
};

struct DiscoveredCell {
  std::string name;
  std::vector<DiscoveredService> services;  // gateways, poolers, orchs; each sorted by name
  std::string error;                        // not empty: the cell can't be read, or not all of it
};

// All cells, side by side. Fails only if the cells' names can't be read.
Awaitable<Result<std::vector<DiscoveredCell>>> DiscoverServices(topo::Store& store, Deadline deadline);

// NOT_FOUND if it isn't registered.
Awaitable<Result<DiscoveredService>> FindService(topo::Store& store, Deadline deadline, ServiceKind kind,
                                                 std::string cell, std::string name);

}  // namespace multigres::admin
