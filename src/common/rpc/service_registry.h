// Which handler serves a path.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/rpc/service.h"

namespace multigres::rpc {

struct Method {
  Service* service = nullptr;
  std::size_t index = 0;
};

// Filled before the server listens, only read afterwards (by all reactors).
class ServiceRegistry {
 public:
  void Add(Service& service);
  // Null if no service has the path ("/package.Service/Method").
  const Method* Find(std::string_view path) const;
  bool HasService(std::string_view full_name) const;
  const std::vector<Service*>& services() const { return services_; }

 private:
  std::vector<Service*> services_;
  std::map<std::string, Method, std::less<>> methods_;
};

}  // namespace multigres::rpc
