// One call on the client: the HTTP/2 stream below, what a ClientCall needs above.
#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <string>
#include <string_view>

#include "common/rpc/channel.h"
#include "common/rpc/http2_session.h"
#include "common/rpc/http2_stream.h"
#include "common/rpc/status_codec.h"

namespace multigres::rpc {

// Shared by the caller's ClientCall and, while it is queued or open, by channel or connection.
class OutgoingCall final : public Http2Stream {
 public:
  // Who may give it another connection.
  class Starter {
   public:
    // Takes the call, which never left this process, for another start; false = it is to fail. Called inside the
    // session's callbacks.
    virtual bool StartAgain(OutgoingCall& call) = 0;

   protected:
    ~Starter() = default;
  };

  // The starter must live as long as the call is with a connection.
  OutgoingCall(Clock& clock, Starter& starter, std::string_view path, CallOptions options);

  // The channel's side. Sends the request's headers; fails the call if that can't be.
  void Start(Http2Session& session, std::string_view scheme, std::string_view authority);
  // Ends the call before it reached a connection (or before its bytes did: then it did not execute).
  void Fail(Error error);
  bool waits_for_ready() const { return wait_for_ready_; }
  // Over, from the caller's point of view: cancelled, out of time, or answered.
  bool IsDone() const { return in_.IsEnded(); }

  // The caller's side; see ClientCall.
  Awaitable<Result<>> Write(const MessageLite& message);
  void WritesDone();
  void WriteLast(const MessageLite& message);
  Awaitable<Result<bool>> Read(MessageLite& message);
  void Cancel(CancelReason reason);
  // The caller has let go of the call.
  void Drop();
  const Metadata& initial_metadata() const { return initial_metadata_; }
  const Metadata& trailing_metadata() const { return trailing_metadata_; }

 private:
  friend void intrusive_ptr_add_ref(OutgoingCall* stream) { ++stream->references_; }
  friend void intrusive_ptr_release(OutgoingCall* stream) {
    if (--stream->references_ == 0) delete stream;
  }

  void OnHeader(std::string_view name, std::string_view value) override;
  void OnHeadersTooLarge() override;
  void OnHeadersEnd(bool end_of_stream) override;
  void OnDataEnd() override;
  bool OnOutputEnd() override { return false; }
  void OnClosed(std::uint32_t http2_error) override;
  void OnConnectionLost(const Error& why) override;

  // The outcome as the server gave it; readers get it after the messages.
  void End(Result<> status);
  // An outcome of our own; readers get it at once, and the server is told to stop.
  void Abort(Error error);
  Result<> StatusWithoutGrpc() const;
  void StopTimers();
  bool StartAgain();

  Clock& clock_;
  Starter& starter_;
  int starts_ = 0;
  std::string path_;
  Deadline deadline_;
  Metadata request_metadata_;
  bool wait_for_ready_;
  Timer deadline_timer_;
  CancelToken::Subscription cancel_;

  int http_status_ = 0;
  bool is_grpc_ = false;
  bool response_headers_done_ = false;
  ReceivedStatus received_;
  Metadata initial_metadata_;
  Metadata trailing_metadata_;
  std::size_t references_ = 0;
};

using OutgoingCallPtr = boost::intrusive_ptr<OutgoingCall>;

}  // namespace multigres::rpc
