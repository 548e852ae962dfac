// Our server against grpc++'s client.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <thread>

#include "common/rpc/service.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "interop.grpc.pb.h"
#include "our_server.h"

namespace multigres::interop {
namespace {

using ::interop::ControlRequest;
using ::interop::ControlResponse;
using ::interop::Interop;
using ::interop::Request;
using ::interop::Response;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::shared_ptr<grpc::Channel> ChannelTo(std::uint16_t port) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 256 * 1024);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<grpc::ClientContext> Context(milliseconds timeout = seconds(30)) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + timeout);
  return context;
}

std::string Text(const grpc::Status& status) {
  return std::to_string(status.error_code()) + ": " + status.error_message();
}

class Server : public testing::Test {
 protected:
  void Await(const std::string& key, ControlRequest::Action action) {
    ControlRequest request;
    request.set_key(key);
    request.set_action(action);
    ControlResponse response;
    const grpc::Status status = stub_->Control(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << Text(status);
  }

  OurServer server_;
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(server_.port());
  std::unique_ptr<Interop::Stub> stub_ = Interop::NewStub(channel_);
};

TEST_F(Server, UnaryEchoes) {
  Request request;
  request.set_payload("ping");
  Response response;
  const grpc::Status status = stub_->Unary(Context().get(), request, &response);
  EXPECT_TRUE(status.ok()) << Text(status);
  EXPECT_EQ(response.payload(), "ping");
}

TEST_F(Server, ServerStreamComesInOrderAndEnds) {
  Request request;
  request.set_count(1000);
  request.set_response_bytes(100);
  const auto context = Context();
  const auto reader = stub_->ServerStream(context.get(), request);
  Response response;
  std::uint64_t received = 0;
  while (reader->Read(&response)) EXPECT_EQ(response.count(), received++);
  EXPECT_EQ(received, 1000);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(Server, ClientStreamIsCounted) {
  const auto context = Context();
  Response response;
  const auto writer = stub_->ClientStream(context.get(), &response);
  Request request;
  request.set_payload(std::string(1000, 'x'));
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(writer->Write(request));
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_TRUE(status.ok()) << Text(status);
  EXPECT_EQ(response.count(), 1000);
  EXPECT_EQ(response.total_bytes(), 1'000'000);
}

TEST_F(Server, BidiAnswersEachRequestInTurn) {
  const auto context = Context();
  const auto stream = stub_->Bidi(context.get());
  Response response;
  for (int i = 0; i < 200; ++i) {
    Request request;
    request.set_payload(std::to_string(i));
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.payload(), std::to_string(i));
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

// On a busy machine a short deadline can pass before the handler runs; then a longer one is tried.
TEST_F(Server, DeadlineEndsTheHandler) {
  ControlRequest cancelled;
  cancelled.set_key("deadline");
  cancelled.set_action(ControlRequest::AWAIT_CANCELLED);
  Request request;
  request.set_hang_key("deadline");
  bool seen = false;
  for (auto timeout = milliseconds(100); !seen && timeout < seconds(10); timeout *= 3) {
    Response response;
    const grpc::Status status = stub_->Unary(Context(timeout).get(), request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << Text(status);
    ControlResponse reached;
    seen = stub_->Control(Context(seconds(1)).get(), cancelled, &reached).ok();
  }
  EXPECT_TRUE(seen) << "the handler was not cancelled";
}

TEST_F(Server, CancelReachesTheHandler) {
  Request request;
  request.set_hang_key("cancel");
  request.set_count(1);
  const auto context = Context();
  const auto reader = stub_->ServerStream(context.get(), request);
  Response response;
  ASSERT_TRUE(reader->Read(&response));
  Await("cancel", ControlRequest::AWAIT_STARTED);
  context->TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  Await("cancel", ControlRequest::AWAIT_CANCELLED);
}

TEST_F(Server, StatusMessageAndDetailsCome) {
  ::google::rpc::Status details;
  details.set_code(9);
  details.set_message("100% d\xC3\xA9j\xC3\xA0 vu\n");
  details.add_details()->set_value(std::string(20'000, '\xFE'));
  Request request;
  request.mutable_failure()->set_code(9);
  request.mutable_failure()->set_message(details.message());
  request.mutable_failure()->set_details(details.SerializeAsString());
  Response response;
  const grpc::Status status = stub_->Unary(Context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), details.message());
  EXPECT_EQ(status.error_details(), details.SerializeAsString());
}

TEST_F(Server, OwnCodesTravelAsUnknown) {
  Request request;
  request.mutable_failure()->set_code(17);
  request.mutable_failure()->set_message("cluster event");
  Response response;
  const grpc::Status status = stub_->Unary(Context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_message(), "cluster event");
}

TEST_F(Server, UnknownMethodAndServiceAreUnimplemented) {
  Response response;
  const grpc::Status method = stub_->Unimplemented(Context().get(), Request(), &response);
  EXPECT_EQ(method.error_code(), grpc::StatusCode::UNIMPLEMENTED) << Text(method);
  const auto absent = ::interop::Absent::NewStub(channel_);
  const grpc::Status service = absent->Unary(Context().get(), Request(), &response);
  EXPECT_EQ(service.error_code(), grpc::StatusCode::UNIMPLEMENTED) << Text(service);
}

TEST_F(Server, LargeMetadataPasses) {
  const auto context = Context();
  const std::string text(10'000, 't');
  std::string binary(9'000, '\0');
  for (std::size_t i = 0; i < binary.size(); ++i) binary[i] = static_cast<char>(i);
  for (int i = 0; i < 3; ++i) {
    context->AddMetadata("x-initial-" + std::to_string(i), text);
    context->AddMetadata("x-trailing-" + std::to_string(i), text);
    context->AddMetadata("x-trailing-" + std::to_string(i) + "-bin", binary);
  }
  Response response;
  const grpc::Status status = stub_->Unary(context.get(), Request(), &response);
  ASSERT_TRUE(status.ok()) << Text(status);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(context->GetServerInitialMetadata().find("x-initial-" + std::to_string(i))->second, text);
    EXPECT_EQ(context->GetServerTrailingMetadata().find("x-trailing-" + std::to_string(i))->second, text);
    EXPECT_EQ(context->GetServerTrailingMetadata().find("x-trailing-" + std::to_string(i) + "-bin")->second, binary);
  }
}

// The details can't be sent in one header: the call fails with something else, and the connection goes on.
TEST_F(Server, DetailsBeyondTheLimitFailTheirCallOnly) {
  Request hanging;
  hanging.set_hang_key("beside");
  hanging.set_count(1);
  const auto context = Context();
  const auto beside = stub_->ServerStream(context.get(), hanging);
  Response response;
  ASSERT_TRUE(beside->Read(&response));

  Request request;
  request.mutable_failure()->set_code(9);
  request.mutable_failure()->set_details(std::string(70'000, 'd'));
  EXPECT_FALSE(stub_->Unary(Context().get(), request, &response).ok());

  Await("beside", ControlRequest::RELEASE);
  EXPECT_FALSE(beside->Read(&response));
  const grpc::Status end = beside->Finish();
  EXPECT_TRUE(end.ok()) << "the connection did not survive: " << Text(end);
}

// nghttp2 can't take a header of more than 64 KiB and ends the connection: the next call has a new one.
TEST_F(Server, OutlivesAHeaderThatItCannotTake) {
  const auto large = Context();
  large->AddMetadata("x-large", std::string(70'000, 'v'));
  Response response;
  EXPECT_FALSE(stub_->Unary(large.get(), Request(), &response).ok());
  const auto context = Context();
  context->set_wait_for_ready(true);
  const grpc::Status next = stub_->Unary(context.get(), Request(), &response);
  EXPECT_TRUE(next.ok()) << Text(next);
}

TEST_F(Server, MessagesOf16MiBPassBothWays) {
  Request request;
  request.set_payload(std::string(rpc::kMaxMessageBytes - 5, 'p'));
  ASSERT_EQ(request.ByteSizeLong(), rpc::kMaxMessageBytes);
  Response response;
  const grpc::Status status = stub_->Unary(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << Text(status);
  EXPECT_EQ(response.payload(), request.payload());
}

TEST_F(Server, LongerRequestIsResourceExhausted) {
  Request request;
  request.set_payload(std::string(rpc::kMaxMessageBytes, 'p'));
  Response response;
  const grpc::Status status = stub_->Unary(Context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << Text(status);
  EXPECT_TRUE(stub_->Unary(Context().get(), Request(), &response).ok());
}

TEST_F(Server, SlowReaderGetsEverything) {
  Request request;
  request.set_count(64);
  request.set_response_bytes(1024 * 1024);
  const auto context = Context();
  const auto reader = stub_->ServerStream(context.get(), request);
  Response response;
  ASSERT_TRUE(reader->Read(&response));
  Response other;
  EXPECT_TRUE(stub_->Unary(Context().get(), Request(), &other).ok());
  int received = 1;
  while (reader->Read(&response)) ++received;
  EXPECT_EQ(received, 64);
  EXPECT_TRUE(reader->Finish().ok());
}

// A compressed message can't be read: the peer is told what can.
TEST_F(Server, CompressedRequestIsUnimplemented) {
  const auto context = Context();
  context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
  Request request;
  request.set_payload(std::string(10'000, 'z'));
  Response response;
  const grpc::Status status = stub_->Unary(context.get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << Text(status);
  EXPECT_TRUE(stub_->Unary(Context().get(), Request(), &response).ok());
}

// One of many calls: counts its first response and its end.
class Opened : public grpc::ClientReadReactor<Response> {
 public:
  struct Counts {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t first_responses = 0;
    std::size_t ended_well = 0;
    std::size_t ended = 0;

    bool WaitUntil(const std::function<bool()>& condition) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, seconds(30), condition);
    }
  };

  void Start(Interop::Stub& stub, const Request& request, Counts& counts) {
    counts_ = &counts;
    stub.async()->ServerStream(&context_, &request, this);
    StartRead(&response_);
    StartCall();
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    {
      const std::scoped_lock lock(counts_->mutex);
      ++counts_->first_responses;
      counts_->changed.notify_all();
    }
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::scoped_lock lock(counts_->mutex);
    ++counts_->ended;
    if (status.ok()) ++counts_->ended_well;
    counts_->changed.notify_all();
  }

  grpc::ClientContext context_;
  Response response_;
  Counts* counts_ = nullptr;
};

TEST_F(Server, TenThousandStreamsAtOnce) {
  static constexpr std::size_t kMany = 10'000;
  Request request;
  request.set_count(1);
  request.set_hang_key("many");
  Opened::Counts counts;
  std::vector<Opened> calls(kMany);
  for (Opened& call : calls) call.Start(*stub_, request, counts);
  EXPECT_TRUE(counts.WaitUntil([&] { return counts.first_responses == kMany; })) << counts.first_responses;
  Await("many", ControlRequest::RELEASE);
  EXPECT_TRUE(counts.WaitUntil([&] { return counts.ended == kMany; })) << counts.ended;
  EXPECT_EQ(counts.ended_well, kMany);
}

TEST_F(Server, HealthAndItsWatchAnswer) {
  const auto health = ::grpc::health::v1::Health::NewStub(channel_);
  ::grpc::health::v1::HealthCheckResponse response;
  EXPECT_TRUE(health->Check(Context().get(), {}, &response).ok());
  EXPECT_EQ(response.status(), ::grpc::health::v1::HealthCheckResponse::SERVING);

  ::grpc::health::v1::HealthCheckRequest request;
  request.set_service("interop.Interop");
  const auto context = Context();
  const auto watch = health->Watch(context.get(), request);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), ::grpc::health::v1::HealthCheckResponse::SERVING);
  context->TryCancel();

  request.set_service("no.such.Service");
  EXPECT_EQ(health->Check(Context().get(), request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Server, ReflectionListsServicesAndGivesTheirFiles) {
  namespace reflection = ::grpc::reflection::v1alpha;
  const auto stub = reflection::ServerReflection::NewStub(channel_);
  const auto context = Context();
  const auto stream = stub->ServerReflectionInfo(context.get());
  reflection::ServerReflectionRequest request;
  reflection::ServerReflectionResponse response;

  request.set_list_services("");
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  std::set<std::string> names;
  for (const auto& service : response.list_services_response().service()) names.insert(service.name());
  EXPECT_TRUE(names.contains("interop.Interop"));
  EXPECT_TRUE(names.contains("grpc.health.v1.Health"));

  request.set_file_containing_symbol("interop.Interop");
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  bool found = false;
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    found = found || file.package() == "interop";
  }
  EXPECT_TRUE(found);

  request.set_file_containing_symbol("no.such.Symbol");
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace multigres::interop
