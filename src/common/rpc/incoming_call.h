// One call on the server: the HTTP/2 stream below, the ServerCall above.
#pragma once

#include <memory>
#include <string>

#include "common/rpc/http2_stream.h"
#include "common/rpc/metadata.h"
#include "common/rpc/metadata_codec.h"
#include "common/rpc/service.h"
#include "common/rpc/service_registry.h"

namespace multigres::rpc {

class ServerConnection;

// Owned by its connection; deletes itself when both the stream is closed and no handler runs.
class IncomingCall final : public ServerCall, public Http2Stream {
 public:
  explicit IncomingCall(ServerConnection& connection) : connection_(connection) {}

  // ServerCall
  const Metadata& metadata() const override { return metadata_; }
  Deadline deadline() const override { return deadline_; }
  CancelToken& cancel() override { return cancel_; }
  Reactor& reactor() override;
  const std::string& peer() const override;
  std::string_view peer_subject() const override;
  void AddInitialMetadata(std::string key, std::string value) override;
  void AddTrailingMetadata(std::string key, std::string value) override;
  Awaitable<Result<bool>> Read(MessageLite& message) override;
  Awaitable<Result<>> Write(const MessageLite& message) override;
  bool TryWrite(const MessageLite& message) override;

  // For the connection. The handler's whole life: spawned as a task.
  static Awaitable<void> RunHandler(IncomingCall* stream);
  // Before RunHandler() or instead of it; false = the stream is gone (and deleted).
  bool BeginHandler();
  void Cancel(CancelReason reason);

 private:
  // Http2Stream
  void OnHeader(std::string_view name, std::string_view value) override;
  void OnHeadersTooLarge() override;
  void OnHeadersEnd(bool end_of_stream) override;
  void OnDataEnd() override;
  bool OnOutputEnd() override;
  void OnClosed(std::uint32_t http2_error) override;
  void OnConnectionLost(const Error& why) override;

  // Answers what isn't a call of ours; true if it has.
  bool RefuseMalformed();
  void RefuseHttp(std::string_view status, std::string_view text);
  void StartDeadline();
  void OnDeadline();
  void StreamGone();
  void HandlerEnded();
  Result<> SendHeaders();
  // The call's outcome, sent after what is queued. The first one counts.
  void Finish(Result<> status);
  bool IsOver() const { return finished_ || closed_; }
  Error OverError() const;

  ServerConnection& connection_;
  const Method* method_ = nullptr;
  Metadata metadata_;
  Metadata initial_metadata_;
  Metadata trailing_metadata_;
  Deadline deadline_;
  Timer deadline_timer_;
  CancelToken cancel_;
  Result<> status_;

  std::optional<Error> refusal_;  // of the request's headers
  bool is_post_ = false;
  bool is_grpc_ = false;
  std::string path_;
  bool queued_ = false;        // for its handler to be started
  bool running_ = false;       // its handler
  bool headers_sent_ = false;  // the response's
  bool finished_ = false;      // status_ is final
  bool closed_ = false;        // the stream is no more
};

}  // namespace multigres::rpc
