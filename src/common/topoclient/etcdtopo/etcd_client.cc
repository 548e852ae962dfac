#include "common/topoclient/etcdtopo/etcd_client.h"

#include "etcd/etcdserver.pb.h"
#include "etcd/etcdserver.rpc.h"

namespace multigres::topo {

using namespace std::chrono_literals;

namespace {

// Does the error say that this server, or the way to it, is bad?
bool TellsAgainstConnection(const Error& error) {
  switch (error.code()) {
    case Code::kUnavailable:
    case Code::kFailedPrecondition:
    case Code::kClusterEvent:
      return true;
    default:
      return error.message().contains("context deadline exceeded") || error.message().contains("context canceled");
  }
}

std::string_view WithoutScheme(std::string_view address) {
  const auto scheme = address.find("://");
  return scheme == std::string_view::npos ? address : address.substr(scheme + 3);
}

rpc::ChannelOptions OptionsOf(const EtcdOptions& options) {
  rpc::ChannelOptions channel;
  if (!options.tls_cert_file.empty() && !options.tls_key_file.empty()) {
    channel.tls.emplace();
    channel.tls->cert_file = options.tls_cert_file;
    channel.tls->key_file = options.tls_key_file;
    channel.tls->ca_file = options.tls_ca_file;
  }
  channel.connect_timeout = options.dial_timeout;
  return channel;
}

}  // namespace

EtcdClient::EtcdClient(Reactor& reactor, EtcdOptions options, ConnectionSpec spec)
    : reactor_(reactor),
      options_(std::move(options)),
      spec_(std::move(spec)),
      random_(SystemRandom()),
      tasks_(reactor.executor()) {
  StartReconnecting();
}

EtcdClient::~EtcdClient() = default;

void EtcdClient::Status(const std::string& text) {
  if (spec_.on_status) spec_.on_status(text);
}

void EtcdClient::StartReconnecting() {
  if (reconnecting_ || closed_) return;
  reconnecting_ = true;
  tasks_.Spawn("connect to etcd", Reconnect());
}

Awaitable<void> EtcdClient::Reconnect() {
  Jitter jitter(*random_, 10ms, 30s);
  for (;;) {
    auto dialed = co_await DialOnce();
    dialed_.Set();
    if (dialed) break;
    Status(dialed.error().message());
    if (auto broken = std::exchange(link_, nullptr)) Retire(std::move(broken));
    connected_.Reset();
    co_await SleepFor(reactor_.clock(), jitter.Next());
  }
  Status("");
  reconnecting_ = false;
  connected_.Set();
}

// Each address once, beginning after the one that was tried last.
Awaitable<Result<>> EtcdClient::DialOnce() {
  Error last(Code::kUnavailable, "no server addresses");
  for (std::size_t i = 0; i < spec_.addresses.size(); ++i) {
    const std::string text = spec_.addresses[next_address_++ % spec_.addresses.size()];
    auto address = ParseAddress(WithoutScheme(text));
    if (!address) {
      last = std::move(address.error());
      continue;
    }
    // In the list from the start: whatever cancels this dial, Close() finds the channel.
    auto link = std::make_shared<Link>();
    link->channel = rpc::Channel::Create(reactor_, *address, OptionsOf(options_));
    links_.push_back(link);
    rpc::CallOptions limits;
    limits.deadline = reactor_.clock().After(options_.dial_timeout);
    auto status = co_await etcdserverpb::rpc::MaintenanceClient(*link->channel).Status({}, limits);
    if (status) {
      if (auto replaced = std::exchange(link_, link)) Retire(std::move(replaced));
      co_return Result<>();
    }
    Retire(link);
    last = std::move(status.error()).With(text);
  }
  co_return std::unexpected(std::move(last));
}

void EtcdClient::Retire(std::shared_ptr<Link> link) {
  if (!closed_) tasks_.Spawn("close etcd channel", CloseWhenUnused(std::move(link)));
}

Awaitable<void> EtcdClient::CloseWhenUnused(std::shared_ptr<Link> link) {
  while (link->uses > 0) co_await link->unused.Wait();
  co_await link->channel->Close();
  links_.remove(link);
}

Awaitable<Result<EtcdClient::Use>> EtcdClient::Begin(CallContext context) {
  if (context.cancel != nullptr && context.cancel->IsCancelled()) co_return FailTopo(ErrorKind::kInterrupted, "etcd");
  if (context.deadline.Passed(clock().Now())) co_return FailTopo(ErrorKind::kTimeout, "etcd");
  co_await dialed_.WaitUntil(clock(), context.deadline);
  if (closed_) co_return FailTopo(ErrorKind::kInterrupted, "connection closed");
  if (!link_) co_return std::unexpected(NoConnection());
  co_return Use(link_);
}

Awaitable<void> EtcdClient::WaitConnected() {
  co_await connected_.Wait();
}

rpc::CallOptions EtcdClient::Limits(const CallContext& context) {
  rpc::CallOptions limits;
  limits.deadline = context.deadline.Earlier(clock().After(options_.operation_timeout));
  limits.cancel = context.cancel;
  return limits;
}

Error EtcdClient::Failed(const Error& error, const std::string& subject) {
  if (!closed_ && TellsAgainstConnection(error)) {
    Status(error.message());
    StartReconnecting();
    if (error.code() == Code::kUnavailable) {
      connected_.Reset();
      if (auto broken = std::exchange(link_, nullptr)) Retire(std::move(broken));
    }
  } else if (error.code() == Code::kDeadlineExceeded) {
    // Perhaps only a short deadline: look whether the server still answers, on a connection beside this one.
    StartReconnecting();
  }
  const auto as = [&](ErrorKind kind) { return TopoError(kind, subject).WithExecution(error.execution()); };
  switch (error.code()) {
    case Code::kNotFound:
      return as(ErrorKind::kNoNode);
    case Code::kUnavailable:
      return as(ErrorKind::kTimeout).With(error.message());
    case Code::kDeadlineExceeded:
      return as(ErrorKind::kTimeout);
    case Code::kCanceled:
      return as(ErrorKind::kInterrupted);
    case Code::kResourceExhausted:
      return TopoError(ErrorKind::kResourceExhausted, error.message()).WithExecution(error.execution());
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
      return Error(error).With(subject);
    default:
      // Other codes mean kinds of our own (see errors.h), which this isn't.
      return Error(Code::kInternal, fmt::format("{}: {}", subject, error.ToString())).WithExecution(error.execution());
  }
}

Awaitable<void> EtcdClient::Close() {
  closed_ = true;
  dialed_.Set();
  co_await tasks_.CancelAndJoin();
  link_.reset();
  for (auto& link : links_) co_await link->channel->Close();
  links_.clear();
}

}  // namespace multigres::topo
