#include "grpcxx_server.h"

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/health_check_service_interface.h>

#include <atomic>

#include "interop.grpc.pb.h"
#include "tools/result/check.h"

namespace multigres::interop {
namespace {

using ::interop::ControlRequest;
using ::interop::ControlResponse;
using ::interop::Request;
using ::interop::Response;

constexpr int kMaxMessageBytes = 17 * 1024 * 1024;
constexpr int kMaxMetadataBytes = 256 * 1024;

void EchoMetadata(grpc::CallbackServerContext& context) {
  for (const auto& [key, value] : context.client_metadata()) {
    const std::string name(key.data(), key.size());
    const std::string text(value.data(), value.size());
    if (name.starts_with("x-initial-")) context.AddInitialMetadata(name, text);
    if (name.starts_with("x-trailing-")) context.AddTrailingMetadata(name, text);
  }
}

Response Answer(const Request& request) {
  Response response;
  response.set_payload(request.response_bytes() > 0 ? std::string(request.response_bytes(), 'r') : request.payload());
  return response;
}

grpc::Status Outcome(const Request& request) {
  if (!request.has_failure()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(request.failure().code()), request.failure().message(),
          request.failure().details()};
}

// A handler's wait for its release or its cancellation; runs the continuation once, for whichever comes first.
class Hang : public std::enable_shared_from_this<Hang> {
 public:
  Hang(Hub& hub, std::string key) : hub_(hub), key_(std::move(key)) {}

  void Start(std::move_only_function<void(bool cancelled)> then) {
    then_ = std::move(then);
    hub_.When(key_, Phase::kReleased, [self = shared_from_this()] { self->End(false); });
    hub_.Reach(key_, Phase::kStarted);
  }
  void Cancel() {
    hub_.Reach(key_, Phase::kCancelled);
    End(true);
  }

 private:
  void End(bool cancelled) {
    if (!ended_.exchange(true)) then_(cancelled);
  }

  Hub& hub_;
  std::string key_;
  std::move_only_function<void(bool)> then_;
  std::atomic<bool> ended_ = false;
};

// OnCancel() may come at any time and from any thread, also before there is a Hang.
class Cancellable {
 public:
  std::shared_ptr<Hang> Begin(Hub& hub, const std::string& key) {
    const std::scoped_lock lock(mutex_);
    hang_ = std::make_shared<Hang>(hub, key);
    return hang_;
  }
  bool cancelled() {
    const std::scoped_lock lock(mutex_);
    return cancelled_;
  }
  void Cancel() {
    std::shared_ptr<Hang> hang;
    {
      const std::scoped_lock lock(mutex_);
      cancelled_ = true;
      hang = hang_;
    }
    if (hang) hang->Cancel();
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<Hang> hang_;
  bool cancelled_ = false;
};

// Hangs if told to, then continues with the status to finish with (CANCELLED if cancelled meanwhile).
void HangOrFail(Hub& hub, Cancellable& cancellable, const Request& request,
                std::move_only_function<void(grpc::Status)> then) {
  if (request.hang_key().empty()) {
    then(Outcome(request));
    return;
  }
  const std::shared_ptr<Hang> hang = cancellable.Begin(hub, request.hang_key());
  hang->Start([then = std::move(then), outcome = Outcome(request)](bool cancelled) mutable {
    then(cancelled ? grpc::Status::CANCELLED : outcome);
  });
  if (cancellable.cancelled()) hang->Cancel();
}

class UnaryCall : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(Hub& hub, const Request& request, Response& response) {
    HangOrFail(hub, cancellable_, request, [this, &request, &response](grpc::Status status) {
      if (status.ok()) response = Answer(request);
      Finish(std::move(status));
    });
  }

 private:
  void OnCancel() override { cancellable_.Cancel(); }
  void OnDone() override { delete this; }

  Cancellable cancellable_;
};

class ServerStreamCall : public grpc::ServerWriteReactor<Response> {
 public:
  ServerStreamCall(Hub& hub, const Request& request) : hub_(hub), request_(request), response_(Answer(request)) {
    WriteNext();
  }

 private:
  void WriteNext() {
    if (written_ < request_.count()) {
      response_.set_count(written_++);
      StartWrite(&response_);
      return;
    }
    HangOrFail(hub_, cancellable_, request_, [this](grpc::Status status) { Finish(std::move(status)); });
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      WriteNext();
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }
  void OnCancel() override { cancellable_.Cancel(); }
  void OnDone() override { delete this; }

  Hub& hub_;
  const Request request_;
  Response response_;
  std::uint32_t written_ = 0;
  Cancellable cancellable_;
};

class ClientStreamCall : public grpc::ServerReadReactor<Request> {
 public:
  ClientStreamCall(Hub& hub, Response& response) : hub_(hub), response_(response) { StartRead(&request_); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    response_.set_count(response_.count() + 1);
    response_.set_total_bytes(response_.total_bytes() + request_.payload().size());
    HangOrFail(hub_, cancellable_, request_, [this](grpc::Status status) {
      if (status.ok()) {
        StartRead(&request_);
      } else {
        Finish(std::move(status));
      }
    });
  }
  void OnCancel() override { cancellable_.Cancel(); }
  void OnDone() override { delete this; }

  Hub& hub_;
  Response& response_;
  Request request_;
  Cancellable cancellable_;
};

class BidiCall : public grpc::ServerBidiReactor<Request, Response> {
 public:
  explicit BidiCall(Hub& hub) : hub_(hub) { StartRead(&request_); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    HangOrFail(hub_, cancellable_, request_, [this](grpc::Status status) {
      if (status.ok()) {
        response_ = Answer(request_);
        StartWrite(&response_);
      } else {
        Finish(std::move(status));
      }
    });
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      StartRead(&request_);
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }
  void OnCancel() override { cancellable_.Cancel(); }
  void OnDone() override { delete this; }

  Hub& hub_;
  Request request_;
  Response response_;
  Cancellable cancellable_;
};

class InteropService final : public ::interop::Interop::CallbackService {
 public:
  explicit InteropService(Hub& hub) : hub_(hub) {}

  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const Request* request,
                                  Response* response) override {
    EchoMetadata(*context);
    return new UnaryCall(hub_, *request, *response);
  }
  grpc::ServerWriteReactor<Response>* ServerStream(grpc::CallbackServerContext* context,
                                                   const Request* request) override {
    EchoMetadata(*context);
    return new ServerStreamCall(hub_, *request);
  }
  grpc::ServerReadReactor<Request>* ClientStream(grpc::CallbackServerContext* context, Response* response) override {
    EchoMetadata(*context);
    return new ClientStreamCall(hub_, *response);
  }
  grpc::ServerBidiReactor<Request, Response>* Bidi(grpc::CallbackServerContext* context) override {
    EchoMetadata(*context);
    return new BidiCall(hub_);
  }
  grpc::ServerUnaryReactor* Control(grpc::CallbackServerContext* context, const ControlRequest* request,
                                    ControlResponse* /*response*/) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (request->action() == ControlRequest::RELEASE) {
      hub_.Reach(request->key(), Phase::kReleased);
      reactor->Finish(grpc::Status::OK);
      return reactor;
    }
    const Phase phase = request->action() == ControlRequest::AWAIT_STARTED ? Phase::kStarted : Phase::kCancelled;
    hub_.When(request->key(), phase, [reactor] { reactor->Finish(grpc::Status::OK); });
    return reactor;
  }

 private:
  Hub& hub_;
};

}  // namespace

GrpcxxServer::GrpcxxServer(const std::function<void(grpc::ServerBuilder&)>& configure,
                           const std::shared_ptr<grpc::ServerCredentials>& credentials)
    : service_(std::make_unique<InteropService>(hub_)) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
  builder.RegisterService(service_.get());
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  if (configure) configure(builder);
  server_ = builder.BuildAndStart();
  CHECK(server_ != nullptr && port_ != 0);
}

GrpcxxServer::~GrpcxxServer() {
  Stop(Duration::zero());
}

void GrpcxxServer::Stop(Duration grace) {
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::ceil<std::chrono::milliseconds>(grace));
}

}  // namespace multigres::interop
