// Which build this process runs.
#pragma once

#include <string>

#include "serviceinfoservice.rpc.h"

namespace serviceinfo {
class BuildInfo;
}

namespace multigres::servenv {

// Revision, modified and commit_time are set in release builds from a git tree only.
::serviceinfo::BuildInfo CurrentBuild(const std::string& binary);
std::string BuildInfoJson(const std::string& binary);

// serviceinfo.ServiceInfo, which every gRPC server of ours offers.
class ServiceInfoService final : public ::serviceinfo::rpc::ServiceInfo {
 public:
  explicit ServiceInfoService(std::string binary) : binary_(std::move(binary)) {}
  Awaitable<Result<::serviceinfo::GetBuildInfoResponse>> GetBuildInfo(
      rpc::ServerContext& context, const ::serviceinfo::GetBuildInfoRequest& request) override;

 private:
  std::string binary_;
};

}  // namespace multigres::servenv
