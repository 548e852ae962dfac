#include "common/servenv/build_info.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include "serviceinfoservice.pb.h"

namespace multigres::servenv {

::serviceinfo::BuildInfo CurrentBuild(const std::string& binary) {
  ::serviceinfo::BuildInfo info;
#ifdef MULTIGRES_REVISION
  info.set_revision(MULTIGRES_REVISION);
  info.set_modified(MULTIGRES_MODIFIED != 0);
  google::protobuf::util::TimeUtil::FromString(MULTIGRES_COMMIT_TIME, info.mutable_commit_time());
#endif
  info.set_toolchain("clang " __clang_version__);
  info.set_binary(binary);
  return info;
}

std::string BuildInfoJson(const std::string& binary) {
  std::string json;
  static_cast<void>(google::protobuf::util::MessageToJsonString(CurrentBuild(binary), &json));
  return json;
}

Awaitable<Result<::serviceinfo::GetBuildInfoResponse>> ServiceInfoService::GetBuildInfo(
    rpc::ServerContext&, const ::serviceinfo::GetBuildInfoRequest&) {
  ::serviceinfo::GetBuildInfoResponse response;
  *response.mutable_build_info() = CurrentBuild(binary_);
  co_return response;
}

}  // namespace multigres::servenv
