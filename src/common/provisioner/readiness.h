// Is a service up, and are its ports free before it is started?
#pragma once

#include "common/provisioner/service_spec.h"
#include "tools/async/reactor.h"

namespace multigres::provisioner {

// One look (at most a second or so): OK if its TCP ports accept and its liveness page says so (etcd: /health of its
// metrics port; pgctld: its Status RPC too). The error says what was still missing.
Awaitable<Result<>> ProbeService(Reactor& reactor, ServiceSpec spec);

// UNAVAILABLE `cannot start S: port N (name) is already in use by another process...` for the first of its ports that
// can't be bound on `bind_address`.
Result<> CheckPortsFree(const ServiceSpec& spec, const std::string& bind_address);

// Does anything else than nobody listen there? False also if the address isn't ours.
bool CanBind(const std::string& host, std::uint16_t port);

// The last `count` lines of a file; empty if it can't be read.
std::string LastLines(const std::string& path, std::size_t count);

}  // namespace multigres::provisioner
