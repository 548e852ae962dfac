// The interoperability service on our runtime.
#pragma once

#include "hub.h"
#include "interop.pb.h"
#include "interop.rpc.h"

namespace multigres::interop {

class InteropService : public ::interop::rpc::Interop {
 public:
  explicit InteropService(Hub& hub) : hub_(hub) {}

  Awaitable<Result<::interop::Response>> Unary(rpc::ServerContext& context, const ::interop::Request& request) override;
  Awaitable<Result<>> ServerStream(rpc::ServerContext& context, const ::interop::Request& request,
                                   rpc::ServerWriter<::interop::Response>& writer) override;
  Awaitable<Result<::interop::Response>> ClientStream(rpc::ServerContext& context,
                                                      rpc::ServerReader<::interop::Request>& reader) override;
  Awaitable<Result<>> Bidi(rpc::ServerContext& context,
                           rpc::ServerStream<::interop::Request, ::interop::Response>& stream) override;
  Awaitable<Result<::interop::ControlResponse>> Control(rpc::ServerContext& context,
                                                        const ::interop::ControlRequest& request) override;

 private:
  Awaitable<Result<>> HangOrFail(rpc::ServerContext& context, const ::interop::Request& request);

  Hub& hub_;
};

}  // namespace multigres::interop
