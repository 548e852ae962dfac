#include "common/rpc/server_connection.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "tools/net/tls.h"

namespace multigres::rpc {

namespace {

// How long the announcement of a GOAWAY may take to reach the client if its ping isn't answered.
constexpr Duration kDrainNotice = std::chrono::seconds(1);

Http2Options SessionOptions(const ServerOptions& options) {
  return {
      .role = Http2Role::kServer,
      .stream_window_bytes = options.initial_window_bytes,
      .connection_window_bytes = options.initial_connection_window_bytes,
      .keepalive = {.time = options.keepalive_time, .timeout = options.keepalive_timeout, .only_with_streams = false}};
}

// A unix socket's permissions are its own authorization.
bool IsAllowed(const ServerOptions& options, bool encrypted, const std::string& subject) {
  const auto& allowed = options.allowed_subject_substrings;
  if (allowed.empty() || !encrypted) return true;
  return std::ranges::any_of(allowed, [&](const auto& part) { return subject.contains(part); });
}

}  // namespace

ServerConnection::ServerConnection(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                   const ServiceRegistry& registry, const ServerOptions& options)
    : Http2Session(reactor, std::move(stream), SessionOptions(options)),
      registry_(registry),
      options_(options),
      peer_(Http2Session::stream().PeerName()),
      peer_subject_(CertificateSubject(Http2Session::stream().PeerCertificate())),
      authorized_(IsAllowed(options, Http2Session::stream().IsEncrypted(), peer_subject_)),
      ping_limit_(options.min_ping_interval, options.permit_pings_without_stream),
      handlers_(reactor.executor()) {}

Awaitable<void> ServerConnection::Run() {
  StartAge();
  co_await RunSession();
  age_timer_.Cancel();
  drain_timer_.Cancel();
  OnBatchEnd();  // calls that were queued when the connection ended
  co_await handlers_.Join();
}

Http2Stream* ServerConnection::OnRequest() {
  return new IncomingCall(*this);
}

void ServerConnection::OnBatchEnd() {
  // A handler runs at once until its first wait; it may end the connection, but not queue a call.
  for (IncomingCall* call : queued_) {
    if (call->BeginHandler()) handlers_.Spawn("call", IncomingCall::RunHandler(call));
  }
  queued_.clear();
}

std::string ServerConnection::UnknownMethodText(std::string_view path) const {
  const std::size_t slash = path.rfind('/');
  if (path.starts_with('/') && slash != 0 && slash != std::string_view::npos) {
    const std::string_view service = path.substr(1, slash - 1);
    if (registry_.HasService(service)) {
      return fmt::format("unknown method {} for service {}", path.substr(slash + 1), service);
    }
    return fmt::format("unknown service {}", service);
  }
  return fmt::format("malformed method name: \"{}\"", path);
}

void ServerConnection::OnPing() {
  if (!ping_limit_.OnPing(reactor().clock().Now(), stream_count() > 0)) {
    Terminate(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
  }
}

void ServerConnection::Drain() {
  if (drain_ != DrainState::kNo || !IsOpen()) return;
  drain_ = DrainState::kAnnounced;
  SubmitGoaway(true, NGHTTP2_NO_ERROR, "");
  // Its answer shows that the client has seen the announcement.
  SubmitPing();
  drain_timer_ = reactor().clock().Schedule(kDrainNotice, [this] { FinishDrain(); });
}

void ServerConnection::OnPingAck() {
  if (drain_ == DrainState::kAnnounced) FinishDrain();
}

void ServerConnection::FinishDrain() {
  if (drain_ != DrainState::kAnnounced) return;
  drain_ = DrainState::kFinal;
  drain_timer_.Cancel();
  SubmitGoaway(false, NGHTTP2_NO_ERROR, "");
}

void ServerConnection::CancelCalls(CancelReason reason) {
  ForEachStream([&](Http2Stream& stream) { static_cast<IncomingCall&>(stream).Cancel(reason); });
}

void ServerConnection::StartAge() {
  if (options_.max_connection_age == Duration::max() || options_.max_connection_age <= Duration::zero()) return;
  age_timer_ = reactor().clock().Schedule(options_.max_connection_age, [this] { OnAge(); });
}

void ServerConnection::OnAge() {
  Drain();
  if (options_.max_connection_age_grace == Duration::max()) return;
  age_timer_ = reactor().clock().Schedule(options_.max_connection_age_grace, [this] {
    Close(Error(Code::kUnavailable, "the connection's maximum age has passed"));
  });
}

}  // namespace multigres::rpc
