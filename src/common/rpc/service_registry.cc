#include "common/rpc/service_registry.h"

#include <algorithm>

#include "tools/result/check.h"

namespace multigres::rpc {

void ServiceRegistry::Add(Service& service) {
  CHECK(!HasService(service.full_name()), "service registered twice");
  services_.push_back(&service);
  for (std::size_t i = 0; i < service.methods().size(); ++i) {
    std::string path = "/" + std::string(service.full_name()) + "/" + std::string(service.methods()[i].name);
    methods_.emplace(std::move(path), Method{&service, i});
  }
}

const Method* ServiceRegistry::Find(std::string_view path) const {
  const auto it = methods_.find(path);
  return it == methods_.end() ? nullptr : &it->second;
}

bool ServiceRegistry::HasService(std::string_view full_name) const {
  return std::ranges::any_of(services_, [&](Service* service) { return service->full_name() == full_name; });
}

}  // namespace multigres::rpc
