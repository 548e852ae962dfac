#include "common/rpc/reflection/reflection_service.h"

#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "grpc/reflection/v1alpha/reflection.pb.h"

namespace multigres::rpc::reflection {
namespace {

using ::grpc::reflection::v1alpha::ServerReflectionRequest;
using ::grpc::reflection::v1alpha::ServerReflectionResponse;

Awaitable<void> Converse(Reactor& reactor) {
  auto server = Server::Create({&reactor});
  ReflectionService reflection(*server);
  server->Register(reflection);
  const std::uint16_t port = server->Listen(TcpAddress{"127.0.0.1", 0}).value();
  auto channel = Channel::Create(reactor, TcpAddress{"127.0.0.1", port});
  {
    ::grpc::reflection::v1alpha::rpc::ServerReflectionClient client(*channel);
    auto stream = client.ServerReflectionInfo();
    ServerReflectionRequest request;
    ServerReflectionResponse response;

    request.set_list_services("*");
    EXPECT_TRUE(co_await stream.Write(request));
    EXPECT_TRUE((co_await stream.Read(response)).value_or(false));
    EXPECT_EQ(response.list_services_response().service(0).name(), "grpc.reflection.v1alpha.ServerReflection");

    request.set_file_containing_symbol("grpc.reflection.v1alpha.ServerReflection");
    EXPECT_TRUE(co_await stream.Write(request));
    EXPECT_TRUE((co_await stream.Read(response)).value_or(false));
    EXPECT_EQ(response.file_descriptor_response().file_descriptor_proto_size(), 1);
    ::google::protobuf::FileDescriptorProto file;
    EXPECT_TRUE(file.ParseFromString(response.file_descriptor_response().file_descriptor_proto(0)));
    EXPECT_EQ(file.name(), "grpc/reflection/v1alpha/reflection.proto");

    request.set_file_by_filename("no/such.proto");
    EXPECT_TRUE(co_await stream.Write(request));
    EXPECT_TRUE((co_await stream.Read(response)).value_or(false));
    EXPECT_EQ(response.error_response().error_code(), static_cast<int>(Code::kNotFound));

    stream.WritesDone();
    auto end = co_await stream.Read(response);
    EXPECT_TRUE(end && !*end);
  }
  co_await channel->Close();
  co_await server->Stop(Deadline());
}

TEST(ReflectionService, AnswersFromTheLinkedDescriptors) {
  Reactor reactor;
  RunOnReactor(reactor, Converse(reactor));
}

}  // namespace
}  // namespace multigres::rpc::reflection
