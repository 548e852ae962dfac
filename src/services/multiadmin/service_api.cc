#include "services/multiadmin/service_api.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "tools/result/check.h"

namespace multigres::admin {

using google::protobuf::Message;

namespace {

// The call's byte side, without bytes.
class LocalCall final : public rpc::ServerCall {
 public:
  LocalCall(Reactor& reactor, std::unique_ptr<Message> request, std::unique_ptr<Message> response,
            ServiceApi::Caller caller)
      : reactor_(reactor),
        request_(std::move(request)),
        response_(std::move(response)),
        peer_(std::move(caller.peer)),
        deadline_(caller.deadline) {
    if (deadline_.IsNever()) return;
    timer_ = reactor_.clock().ScheduleAt(deadline_.at(), [this] { cancel_.Cancel(CancelReason::kDeadline); });
  }

  const rpc::Metadata& metadata() const override { return metadata_; }
  Deadline deadline() const override { return deadline_; }
  CancelToken& cancel() override { return cancel_; }
  Reactor& reactor() override { return reactor_; }
  const std::string& peer() const override { return peer_; }
  std::string_view peer_subject() const override { return {}; }
  void AddInitialMetadata(std::string /*key*/, std::string /*value*/) override {}
  void AddTrailingMetadata(std::string /*key*/, std::string /*value*/) override {}

  Awaitable<Result<bool>> Read(rpc::MessageLite& message) override {
    if (request_ == nullptr) co_return false;
    message.CheckTypeAndMergeFrom(*std::exchange(request_, nullptr));
    co_return true;
  }
  Awaitable<Result<>> Write(const rpc::MessageLite& message) override {
    TryWrite(message);
    co_return Result<>();
  }
  bool TryWrite(const rpc::MessageLite& message) override {
    CHECK(!written_, "a unary method answers once");
    written_ = true;
    response_->CheckTypeAndMergeFrom(message);
    return true;
  }

  std::unique_ptr<Message> TakeResponse() { return std::move(response_); }

 private:
  Reactor& reactor_;
  std::unique_ptr<Message> request_;
  std::unique_ptr<Message> response_;
  std::string peer_;
  Deadline deadline_;
  rpc::Metadata metadata_;
  CancelToken cancel_;
  bool written_ = false;
  Timer timer_;
};

}  // namespace

ServiceApi::ServiceApi(rpc::Service& service, Reactor& reactor) : service_(service), reactor_(reactor) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(std::string(service.full_name()));
  CHECK(descriptor != nullptr, "the service's .proto file is linked in");
  const auto methods = service.methods();
  for (std::size_t i = 0; i < methods.size(); ++i) {
    if (methods[i].shape != rpc::CallShape::kUnary) continue;
    Method method;
    method.name = std::string(methods[i].name);
    const auto* found = descriptor->FindMethodByName(method.name);
    CHECK(found != nullptr, "skeleton and descriptor agree");
    method.index = i;
    method.input = found->input_type();
    method.output = found->output_type();
    methods_.emplace(method.name, method);
  }
}

const ServiceApi::Method* ServiceApi::Find(std::string_view name) const {
  const auto found = methods_.find(name);
  return found == methods_.end() ? nullptr : &found->second;
}

std::unique_ptr<Message> ServiceApi::NewMessage(const google::protobuf::Descriptor* type) {
  return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

Awaitable<Result<std::unique_ptr<Message>>> ServiceApi::Call(const Method& method, std::unique_ptr<Message> request,
                                                             Caller caller) const {
  LocalCall call(reactor_, std::move(request), NewMessage(method.output), std::move(caller));
  auto handled = co_await service_.Handle(method.index, call);
  if (!handled) co_return std::unexpected(std::move(handled.error()));
  co_return call.TakeResponse();
}

}  // namespace multigres::admin
