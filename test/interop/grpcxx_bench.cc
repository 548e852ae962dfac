// The benchmark's two sides on grpc++, with its fastest interface: callbacks, and the response together with the
// status.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <thread>

#include "bench_side.h"
#include "multipoolerservice.grpc.pb.h"
#include "tools/result/check.h"

namespace multigres::interop {
namespace {

using namespace ::multipoolerservice;  // NOLINT: the messages of one service

class StreamCall final : public grpc::ServerWriteReactor<StreamExecuteResponse> {
 public:
  explicit StreamCall(const StreamExecuteResponse& response) {
    StartWriteAndFinish(&response, grpc::WriteOptions(), grpc::Status::OK);
  }

 private:
  void OnDone() override { delete this; }
};

class Service final : public MultiPoolerService::CallbackService {
 public:
  grpc::ServerUnaryReactor* ExecuteQuery(grpc::CallbackServerContext* context, const ExecuteQueryRequest* /*request*/,
                                         ExecuteQueryResponse* response) override {
    *response = unary_;
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<StreamExecuteResponse>* StreamExecute(grpc::CallbackServerContext* /*context*/,
                                                                 const StreamExecuteRequest* /*request*/) override {
    return new StreamCall(stream_);
  }

 private:
  const ExecuteQueryResponse unary_ = SampleUnaryResponse();
  const StreamExecuteResponse stream_ = SampleStreamResponse();
};

struct Progress {
  Progress(MultiPoolerService::Stub& stub_to_use, int in_flight) : stub(stub_to_use), ended(in_flight) {}

  MultiPoolerService::Stub& stub;
  const ExecuteQueryRequest unary = SampleUnaryRequest();
  const StreamExecuteRequest stream = SampleStreamRequest();
  std::atomic<bool> over = false;
  std::atomic<std::uint64_t> calls = 0;
  std::latch ended;
};

// One call; starts its successor when it is over.
class UnaryCall {
 public:
  static void Start(Progress& progress) {
    auto* call = new UnaryCall;
    progress.stub.async()->ExecuteQuery(&call->context_, &progress.unary, &call->response_,
                                        [call, &progress](const grpc::Status& status) {
                                          CHECK(status.ok(), status.error_message());
                                          delete call;
                                          ++progress.calls;
                                          if (progress.over) {
                                            progress.ended.count_down();
                                          } else {
                                            Start(progress);
                                          }
                                        });
  }

 private:
  grpc::ClientContext context_;
  ExecuteQueryResponse response_;
};

class ReadCall final : public grpc::ClientReadReactor<StreamExecuteResponse> {
 public:
  static void Start(Progress& progress) {
    auto* call = new ReadCall(progress);
    progress.stub.async()->StreamExecute(&call->context_, &progress.stream, call);
    call->StartRead(&call->response_);
    call->StartCall();
  }

 private:
  explicit ReadCall(Progress& progress) : progress_(progress) {}

  void OnReadDone(bool ok) override {
    if (ok) StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    CHECK(status.ok(), status.error_message());
    Progress& progress = progress_;
    delete this;
    ++progress.calls;
    if (progress.over) {
      progress.ended.count_down();
    } else {
      Start(progress);
    }
  }

  Progress& progress_;
  grpc::ClientContext context_;
  StreamExecuteResponse response_;
};

std::uint64_t CallFor(MultiPoolerService::Stub& stub, const Load& load, std::chrono::milliseconds duration) {
  Progress progress(stub, load.in_flight);
  for (int i = 0; i < load.in_flight; ++i) {
    if (load.shape == Shape::kUnary) {
      UnaryCall::Start(progress);
    } else {
      ReadCall::Start(progress);
    }
  }
  std::this_thread::sleep_for(duration);
  progress.over = true;
  progress.ended.wait();
  return progress.calls;
}

}  // namespace

void ServeGrpcxx(int port_fd) {
  Service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  CHECK(server != nullptr && port != 0);
  const std::string text = std::to_string(port) + "\n";
  CHECK(write(port_fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  server->Wait();
}

Cost RunGrpcxx(std::uint16_t port, pid_t server, const Load& load) {
  const auto stub = MultiPoolerService::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  CallFor(*stub, load, std::chrono::milliseconds(50));
  Meter meter(server);
  meter.Start();
  return meter.Stop(CallFor(*stub, load, load.duration));
}

}  // namespace multigres::interop
