#include "common/rpc/channel.h"

#include <google/protobuf/empty.pb.h>

#include <deque>

#include "common/rpc/backoff.h"
#include "common/rpc/client_connection.h"
#include "common/rpc/outgoing_call.h"
#include "tools/async/event.h"
#include "tools/async/task_group.h"
#include "tools/net/tls.h"
#include "tools/result/check.h"

namespace multigres::rpc {

namespace {

// A connection that ends sooner is followed by the next with the delay of a failed attempt.
constexpr Duration kStable = std::chrono::seconds(1);

class ClientCallHandle final : public ClientCall {
 public:
  explicit ClientCallHandle(OutgoingCallPtr stream) : stream_(std::move(stream)) {}
  ~ClientCallHandle() override { stream_->Drop(); }

  Awaitable<Result<>> Write(const MessageLite& message) override { return stream_->Write(message); }
  void WritesDone() override { stream_->WritesDone(); }
  void WriteLast(const MessageLite& message) override { stream_->WriteLast(message); }
  Awaitable<Result<bool>> Read(MessageLite& message) override { return stream_->Read(message); }
  void Cancel() override { stream_->Cancel(CancelReason::kCancelled); }
  const Metadata& initial_metadata() const override { return stream_->initial_metadata(); }
  const Metadata& trailing_metadata() const override { return stream_->trailing_metadata(); }

 private:
  OutgoingCallPtr stream_;
};

std::string AuthorityOf(const Address& address, const ChannelOptions& options) {
  if (options.tls && !options.tls->server_name.empty()) return options.tls->server_name;
  return std::holds_alternative<UnixAddress>(address) ? "localhost" : ToString(address);
}

// The files are read at each connection, so that renewed certificates are taken up.
Awaitable<Result<std::unique_ptr<ByteStream>>> Encrypt(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                       TlsOptions options, std::string host, Deadline deadline) {
  auto context = TlsContext::Client(
      {.files = {options.cert_file, options.key_file, options.ca_file}, .alpn = {"h2"}, .require_alpn = true});
  if (!context) co_return std::unexpected(std::move(context.error()));
  std::string name = options.server_name.empty() ? std::move(host) : std::move(options.server_name);
  auto encrypted = co_await TlsConnect(reactor, std::move(stream), std::move(*context), std::move(name), deadline);
  if (!encrypted) co_return std::unexpected(std::move(encrypted.error()));
  co_return std::move(*encrypted);
}

class ChannelImpl final : public Channel, public ClientConnection::Observer, public OutgoingCall::Starter {
 public:
  ChannelImpl(Reactor& reactor, Address address, ChannelOptions options)
      : reactor_(reactor),
        address_(std::move(address)),
        options_(std::move(options)),
        authority_(AuthorityOf(address_, options_)),
        keepalive_time_(options_.keepalive_time),
        backoff_(options_.backoff_base, options_.backoff_max),
        connections_(reactor.executor()),
        connector_(reactor.executor()) {}

  std::unique_ptr<ClientCall> StartCall(std::string_view path, CallOptions options) override;
  Reactor& reactor() override { return reactor_; }
  bool IsReady() const override { return current_ != nullptr && current_->AcceptsCalls(); }
  Awaitable<void> Close() override;

 private:
  void OnReady(ClientConnection& connection) override;
  void OnDraining(ClientConnection& connection, bool too_many_pings) override;
  bool StartAgain(OutgoingCall& call) override;

  // On the connection, or in line for the next one.
  void Place(OutgoingCallPtr call);
  // Keeps one connection up from the first call on.
  Awaitable<void> KeepConnected();
  Awaitable<Result<>> ConnectOnce();
  Awaitable<void> Serve(std::unique_ptr<ClientConnection> connection);
  void ConnectFailed(const Error& error);
  void StartWaiting();

  Reactor& reactor_;
  const Address address_;
  const ChannelOptions options_;
  const std::string authority_;
  Duration keepalive_time_;
  Backoff backoff_;
  bool started_ = false;
  bool closed_ = false;
  // Why the last attempt failed, until one succeeds: calls fail with it at once.
  std::optional<Error> failure_;
  ClientConnection* current_ = nullptr;  // being set up, or taking calls
  std::uint64_t ready_count_ = 0;        // of connections that ever were
  std::list<ClientConnection*> open_;
  std::deque<OutgoingCallPtr> waiting_;
  Event changed_;  // of current_
  TaskGroup connections_;
  TaskGroup connector_;
};

std::unique_ptr<ClientCall> ChannelImpl::StartCall(std::string_view path, CallOptions options) {
  OutgoingCallPtr call(new OutgoingCall(reactor_.clock(), *this, path, std::move(options)));
  Place(call);
  if (!started_ && !closed_) {
    started_ = true;
    connector_.Spawn("connector", KeepConnected());
  }
  return std::make_unique<ClientCallHandle>(std::move(call));
}

void ChannelImpl::Place(OutgoingCallPtr call) {
  if (IsReady()) {
    current_->StartCall(*call);
  } else if (closed_) {
    call->Fail(Error(Code::kUnavailable, "channel is closed"));
  } else if (failure_ && !call->waits_for_ready()) {
    call->Fail(*failure_);
  } else if (!call->IsDone()) {
    waiting_.push_back(std::move(call));
  }
}

Awaitable<void> ChannelImpl::KeepConnected() {
  while (!closed_) {
    auto connected = co_await ConnectOnce();
    if (!connected) {
      ConnectFailed(connected.error());
    } else {
      const TimePoint since = reactor_.clock().Now();
      while (current_ != nullptr) co_await changed_.Wait();
      if (reactor_.clock().Now() - since >= kStable) {
        backoff_.Reset();
        continue;
      }
    }
    co_await SleepFor(reactor_.clock(), backoff_.Next());
  }
}

// Done when the server's settings have come, so that a process that only holds the socket isn't taken for a server.
Awaitable<Result<>> ChannelImpl::ConnectOnce() {
  const Deadline deadline = reactor_.clock().After(options_.connect_timeout);
  auto stream = co_await Connect(reactor_, address_, deadline);
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  if (const auto* tcp = std::get_if<TcpAddress>(&address_); tcp != nullptr && options_.tls) {
    stream = co_await Encrypt(reactor_, std::move(*stream), *options_.tls, tcp->host, deadline);
    if (!stream) co_return Fail(std::move(stream), "connect to " + ToString(address_));
  }
  const Http2Options session_options{.role = Http2Role::kClient,
                                     .keepalive = {.time = keepalive_time_, .timeout = options_.keepalive_timeout}};
  auto owned = std::make_unique<ClientConnection>(reactor_, std::move(*stream), session_options, authority_,
                                                  options_.max_calls_per_connection, *this);
  ClientConnection* connection = owned.get();
  current_ = connection;
  open_.push_back(connection);
  connections_.Spawn("connection", Serve(std::move(owned)));
  const std::uint64_t ready_before = ready_count_;
  while (current_ == connection && ready_count_ == ready_before) {
    if (co_await changed_.WaitUntil(reactor_.clock(), deadline)) continue;
    if (current_ != connection || ready_count_ != ready_before) break;
    current_ = nullptr;
    connection->Close(Error(Code::kUnavailable, "the server did not send its HTTP/2 settings in time"));
  }
  // It may be in use, used up or lost by now.
  if (ready_count_ != ready_before) co_return Result<>{};
  co_return Fail(Code::kUnavailable, "connect to " + ToString(address_) + ": no HTTP/2 settings from the server");
}

Awaitable<void> ChannelImpl::Serve(std::unique_ptr<ClientConnection> connection) {
  co_await connection->RunSession();
  open_.remove(connection.get());
  if (current_ == connection.get()) {
    current_ = nullptr;
    changed_.Pulse();
  }
}

void ChannelImpl::OnReady(ClientConnection& connection) {
  ++ready_count_;
  failure_.reset();
  changed_.Pulse();
  if (current_ == &connection) StartWaiting();
}

void ChannelImpl::OnDraining(ClientConnection& connection, bool too_many_pings) {
  if (too_many_pings && keepalive_time_ < Duration::max() / 2) keepalive_time_ *= 2;
  if (current_ != &connection) return;
  current_ = nullptr;
  changed_.Pulse();
}

bool ChannelImpl::StartAgain(OutgoingCall& call) {
  if (closed_ || (failure_ && !call.waits_for_ready())) return false;
  Place(&call);
  return true;
}

void ChannelImpl::StartWaiting() {
  while (IsReady() && !waiting_.empty()) {
    const OutgoingCallPtr call = std::move(waiting_.front());
    waiting_.pop_front();
    current_->StartCall(*call);
  }
}

void ChannelImpl::ConnectFailed(const Error& error) {
  failure_ = Error(Code::kUnavailable, error.message()).WithExecution(Execution::kDidNotExecute);
  std::deque<OutgoingCallPtr> kept;
  for (auto& call : std::exchange(waiting_, {})) {
    if (call->IsDone()) continue;
    if (call->waits_for_ready()) {
      kept.push_back(std::move(call));
    } else {
      call->Fail(*failure_);
    }
  }
  waiting_ = std::move(kept);
}

Awaitable<void> ChannelImpl::Close() {
  closed_ = true;
  const Error why(Code::kUnavailable, "channel is closed");
  for (auto& call : std::exchange(waiting_, {})) call->Fail(why);
  for (ClientConnection* connection : std::list(open_)) connection->Close(why);
  co_await connector_.CancelAndJoin();
  co_await connections_.Join();
}

}  // namespace

std::unique_ptr<Channel> Channel::Create(Reactor& reactor, Address address, ChannelOptions options) {
  return std::make_unique<ChannelImpl>(reactor, std::move(address), std::move(options));
}

Awaitable<Result<>> CallUnary(Channel& channel, std::string_view path, const MessageLite& request,
                              MessageLite& response, CallOptions options) {
  auto call = channel.StartCall(path, std::move(options));
  call->WriteLast(request);
  auto read = co_await call->Read(response);
  if (!read) co_return std::unexpected(std::move(read.error()));
  if (!*read) co_return Fail(Code::kInternal, "the server ended the call without a response");
  // Nothing but the status can come; a second response, which any message can take, would be an error of the server.
  google::protobuf::Empty extra;
  auto end = co_await call->Read(extra);
  if (!end) co_return std::unexpected(std::move(end.error()));
  if (*end) co_return Fail(Code::kInternal, "the server sent more than one response");
  co_return Result<>{};
}

}  // namespace multigres::rpc
