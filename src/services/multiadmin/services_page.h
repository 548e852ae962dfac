// The /services page: every service of the cluster, with links to its status page.
#pragma once

#include <string>
#include <vector>

#include "services/multiadmin/discovery.h"
#include "tools/result/error.h"

namespace multigres::admin {

// HTML whose proxied links are relative to "/", so that it can be served below a prefix. `self`: this multiadmin's own
// address. What couldn't be read is shown as a `Discovery Error`.
std::string ServicesPage(const TcpAddress& self, const Result<std::vector<DiscoveredCell>>& cells);

}  // namespace multigres::admin
