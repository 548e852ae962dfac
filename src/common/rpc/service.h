// What a service implements and what its handlers are given. The skeletons generated from proto/ (<name>.rpc.h) derive
// from these; the wire is behind ServerCall.
#pragma once

#include <google/protobuf/message_lite.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/rpc/metadata.h"
#include "tools/async/awaitable.h"
#include "tools/async/cancel_token.h"
#include "tools/async/reactor.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::rpc {

using google::protobuf::MessageLite;

inline constexpr std::size_t kMaxMessageBytes = 16 * 1024 * 1024;

// One call as its handler sees it. Lives as long as the handler runs, on one reactor.
class ServerContext {
 public:
  virtual ~ServerContext() = default;
  virtual const Metadata& metadata() const = 0;
  virtual Deadline deadline() const = 0;
  // Cancelled when the client cancels, its connection ends, the deadline passes, or the server is stopped hard.
  virtual CancelToken& cancel() = 0;
  virtual Reactor& reactor() = 0;
  virtual const std::string& peer() const = 0;
  // Subject of the client's certificate under mTLS; empty otherwise.
  virtual std::string_view peer_subject() const = 0;
  // Sent with the first message (or the status); later calls have no effect.
  virtual void AddInitialMetadata(std::string key, std::string value) = 0;
  virtual void AddTrailingMetadata(std::string key, std::string value) = 0;
};

// The byte side of a call: messages in, messages out.
class ServerCall : public ServerContext {
 public:
  // False = the client has sent its last message. Errors: CANCELED, RESOURCE_EXHAUSTED (message over 16 MiB), INTERNAL
  // (undecodable).
  virtual Awaitable<Result<bool>> Read(MessageLite& message) = 0;
  // Queues the message; waits only while the peer's flow control holds back more than a window's worth.
  // CANCELED once nobody listens.
  virtual Awaitable<Result<>> Write(const MessageLite& message) = 0;
  // As Write(), but never waits: false if the peer is too slow (the message is then not queued).
  virtual bool TryWrite(const MessageLite& message) = 0;
};

enum class CallShape : std::uint8_t { kUnary, kServerStream, kClientStream, kBidi };

struct MethodInfo {
  std::string_view name;  // "StreamExecute"
  CallShape shape;
};

// A registered service. Generated skeletons implement Handle(); nobody else needs to.
class Service {
 public:
  virtual ~Service() = default;
  // "multipoolerservice.MultiPoolerService"
  virtual std::string_view full_name() const = 0;
  virtual std::span<const MethodInfo> methods() const = 0;
  // Runs the handler of methods()[index]; its error becomes the call's status.
  virtual Awaitable<Result<>> Handle(std::size_t index, ServerCall& call) = 0;
};

// Typed views of a ServerCall, as the skeletons hand them to handlers.
template <class Response>
class ServerWriter {
 public:
  explicit ServerWriter(ServerCall& call) : call_(call) {}
  Awaitable<Result<>> Write(const Response& message) { return call_.Write(message); }
  bool TryWrite(const Response& message) { return call_.TryWrite(message); }

 protected:
  ServerCall& call_;
};

template <class Request>
class ServerReader {
 public:
  explicit ServerReader(ServerCall& call) : call_(call) {}
  Awaitable<Result<bool>> Read(Request& message) { return call_.Read(message); }

 protected:
  ServerCall& call_;
};

template <class Request, class Response>
class ServerStream {
 public:
  explicit ServerStream(ServerCall& call) : call_(call) {}
  Awaitable<Result<bool>> Read(Request& message) { return call_.Read(message); }
  Awaitable<Result<>> Write(const Response& message) { return call_.Write(message); }
  bool TryWrite(const Response& message) { return call_.TryWrite(message); }

 private:
  ServerCall& call_;
};

}  // namespace multigres::rpc
