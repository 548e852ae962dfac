// grpc.reflection.v1alpha: what grpcurl and its like ask a server before they call it.
#pragma once

#include "common/rpc/server.h"
#include "grpc/reflection/v1alpha/reflection.rpc.h"

namespace multigres::rpc::reflection {

// Answers from the descriptors that are linked into the program. Extensions (proto2) are looked up as well.
class ReflectionService final : public ::grpc::reflection::v1alpha::rpc::ServerReflection {
 public:
  // The server must outlive this and is asked for its services at each call.
  explicit ReflectionService(const Server& server) : server_(server) {}

  Awaitable<Result<>> ServerReflectionInfo(
      ServerContext& context, ServerStream<::grpc::reflection::v1alpha::ServerReflectionRequest,
                                           ::grpc::reflection::v1alpha::ServerReflectionResponse>& stream) override;

 private:
  const Server& server_;
};

}  // namespace multigres::rpc::reflection
