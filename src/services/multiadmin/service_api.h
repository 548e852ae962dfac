// The methods of an RPC service by name, for callers that have their requests as text: REST and Connect.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/rpc/service.h"

namespace google::protobuf {
class Descriptor;
class Message;
}  // namespace google::protobuf

namespace multigres::admin {

// Calls the service in this process, as the gRPC server would. Unary methods only. The service's .proto file must be
// linked in (CHECK).
class ServiceApi {
 public:
  struct Method {
    std::string name;
    std::size_t index = 0;
    const google::protobuf::Descriptor* input = nullptr;
    const google::protobuf::Descriptor* output = nullptr;
  };
  struct Caller {
    std::string peer;
    Deadline deadline;
  };

  ServiceApi(rpc::Service& service, Reactor& reactor);

  std::string_view service_name() const { return service_.full_name(); }
  Reactor& reactor() const { return reactor_; }
  // Null if there is none.
  const Method* Find(std::string_view name) const;
  static std::unique_ptr<google::protobuf::Message> NewMessage(const google::protobuf::Descriptor* type);
  // `request` is of the method's input type, the result of its output type.
  Awaitable<Result<std::unique_ptr<google::protobuf::Message>>> Call(const Method& method,
                                                                     std::unique_ptr<google::protobuf::Message> request,
                                                                     Caller caller) const;

 private:
  rpc::Service& service_;
  Reactor& reactor_;
  std::map<std::string, Method, std::less<>> methods_;
};

}  // namespace multigres::admin
