// The client side: one HTTP/2 connection to one server, and the calls on it. Generated clients (<name>.rpc.h) wrap it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/rpc/metadata.h"
#include "common/rpc/service.h"
#include "common/rpc/tls_options.h"
#include "tools/async/reactor.h"
#include "tools/net/socket.h"

namespace multigres::rpc {

struct CallOptions {
  Deadline deadline;  // never, unless set; travels as grpc-timeout
  Metadata metadata;
  // Cancels the call (CANCELED, or DEADLINE_EXCEEDED for reason kDeadline). Must outlive the call.
  CancelToken* cancel = nullptr;
  // Wait for a connection until the deadline instead of failing with UNAVAILABLE while there is none.
  bool wait_for_ready = false;
};

// A call in progress. Destroying it cancels whatever is left of it.
class ClientCall {
 public:
  virtual ~ClientCall() = default;
  // Queues the message; waits only for flow control. Errors as for Finish().
  virtual Awaitable<Result<>> Write(const MessageLite& message) = 0;
  // No more messages from this side.
  virtual void WritesDone() = 0;
  // Queues the only (or last) message together with the end of this side; never waits. The message may die afterwards.
  virtual void WriteLast(const MessageLite& message) = 0;
  // True = a message; false = the server ended the call with OK; error = its status (RESOURCE_EXHAUSTED over 16 MiB,
  // INTERNAL if undecodable). An error's execution() is kDidNotExecute iff the request provably never reached a handler
  // (no connection, REFUSED_STREAM, GOAWAY below our stream id).
  virtual Awaitable<Result<bool>> Read(MessageLite& message) = 0;
  // RST_STREAM(CANCEL); pending and later reads fail with CANCELED.
  virtual void Cancel() = 0;
  virtual const Metadata& initial_metadata() const = 0;   // complete once a Read() has returned
  virtual const Metadata& trailing_metadata() const = 0;  // complete once Read() returned false or an error
};

struct ChannelOptions {
  std::optional<TlsOptions> tls;
  Duration connect_timeout = std::chrono::seconds(5);
  // Full jitter between attempts: uniform in [0, min(max, base * 2^n)].
  Duration backoff_base = std::chrono::milliseconds(50);
  Duration backoff_max = std::chrono::seconds(5);
  // Pings while calls are open; 0 = off.
  Duration keepalive_time = std::chrono::seconds(10);
  Duration keepalive_timeout = std::chrono::seconds(10);
  // Then another connection takes over; HTTP/2 has no more than 2^30 stream ids for a client.
  std::uint32_t max_calls_per_connection = 1'000'000'000;
};

// Connects when first used, reconnects by itself, and fails calls fast while it can't (unless wait_for_ready).
// One reactor. Calls must have ended, or been destroyed, before Close() returns them an error.
class Channel {
 public:
  // `address`: "host:port" or "unix:/path".
  static std::unique_ptr<Channel> Create(Reactor& reactor, Address address, ChannelOptions options = {});
  virtual ~Channel() = default;

  // `path`: "/package.Service/Method". Never fails by itself: what goes wrong shows at the first Read().
  virtual std::unique_ptr<ClientCall> StartCall(std::string_view path, CallOptions options) = 0;
  virtual Reactor& reactor() = 0;
  // Is a connection up (its settings exchanged)?
  virtual bool IsReady() const = 0;
  // Ends all calls with UNAVAILABLE and joins the connection's tasks. Must be awaited before destruction.
  virtual Awaitable<void> Close() = 0;
};

// A unary call over a channel: one message there, one back.
Awaitable<Result<>> CallUnary(Channel& channel, std::string_view path, const MessageLite& request,
                              MessageLite& response, CallOptions options);

// Typed views of a ClientCall, as generated clients return them.
template <class Response>
class ClientReader {
 public:
  explicit ClientReader(std::unique_ptr<ClientCall> call) : call_(std::move(call)) {}
  Awaitable<Result<bool>> Read(Response& message) { return call_->Read(message); }
  void Cancel() { call_->Cancel(); }
  ClientCall& call() { return *call_; }

 private:
  std::unique_ptr<ClientCall> call_;
};

template <class Request, class Response>
class ClientStream {
 public:
  explicit ClientStream(std::unique_ptr<ClientCall> call) : call_(std::move(call)) {}
  Awaitable<Result<>> Write(const Request& message) { return call_->Write(message); }
  void WritesDone() { call_->WritesDone(); }
  Awaitable<Result<bool>> Read(Response& message) { return call_->Read(message); }
  void Cancel() { call_->Cancel(); }
  ClientCall& call() { return *call_; }

 private:
  std::unique_ptr<ClientCall> call_;
};

// Client streaming: writes, then Finish() for the one response.
template <class Request, class Response>
class ClientWriter {
 public:
  explicit ClientWriter(std::unique_ptr<ClientCall> call) : call_(std::move(call)) {}
  Awaitable<Result<>> Write(const Request& message) { return call_->Write(message); }
  Awaitable<Result<Response>> Finish();
  void Cancel() { call_->Cancel(); }

 private:
  std::unique_ptr<ClientCall> call_;
};

template <class Request, class Response>
Awaitable<Result<Response>> ClientWriter<Request, Response>::Finish() {
  call_->WritesDone();
  Response response;
  auto read = co_await call_->Read(response);
  if (!read) co_return std::unexpected(std::move(read.error()));
  if (!*read) co_return Fail(Code::kInternal, "server ended the call without a response");
  Response extra;
  auto end = co_await call_->Read(extra);
  if (!end) co_return std::unexpected(std::move(end.error()));
  co_return response;
}

}  // namespace multigres::rpc
