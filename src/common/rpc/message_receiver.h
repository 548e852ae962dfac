// The incoming half of a call: cuts the stream of bytes into messages for its one reader.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tools/async/awaitable.h"
#include "tools/async/suspension.h"
#include "tools/result/error.h"

namespace multigres::rpc {

// Bytes count against the peer's window until the reader has taken their message. Only the message that a reader is
// waiting for is credited while it comes in, so that it may be larger than the window.
class MessageReceiver {
 public:
  // Where credit goes: the stream's flow-control window.
  class Window {
   public:
    virtual void GiveCredit(std::size_t bytes) = 0;

   protected:
    ~Window() = default;
  };

  explicit MessageReceiver(Window& window) : window_(window) {}

  void Append(std::span<const std::uint8_t> bytes);
  // The peer has sent its last byte: after the messages that are here, readers get false, or the error. The first
  // End() counts.
  void End(Result<> status);
  // Readers get the error at once. Nothing is received any more.
  void Abort(Error error);
  bool IsEnded() const { return end_.has_value(); }
  // How it ended, if by an error.
  std::optional<Error> EndError() const { return end_ && !*end_ ? std::optional<Error>(end_->error()) : std::nullopt; }
  // What grpc-encoding said, for the text of the error that refuses compressed messages.
  void set_encoding(std::string encoding) { encoding_ = std::move(encoding); }
  // Bytes received and not credited.
  std::size_t uncredited_bytes() const { return uncredited_; }

  // True = message, false = end. RESOURCE_EXHAUSTED over kMaxMessageBytes, UNIMPLEMENTED if compressed, INTERNAL if it
  // doesn't parse or the stream ends within it.
  Awaitable<Result<bool>> Read(google::protobuf::MessageLite& message);

 private:
  // Parses the first message of `bytes` if all of it is there.
  std::optional<Result<bool>> Take(std::span<const std::uint8_t> bytes, google::protobuf::MessageLite& message,
                                   std::size_t& taken);
  std::optional<Result<bool>> TakeBuffered(google::protobuf::MessageLite& message);
  std::optional<Result<bool>> Break(Error error);
  void Deliver(Result<bool> result);
  void DeliverBuffered();
  void Keep(std::span<const std::uint8_t> bytes);
  void Credit(std::size_t bytes);

  Window& window_;
  std::string buffer_;
  std::size_t offset_ = 0;  // of buffer_: what has been taken
  std::size_t uncredited_ = 0;
  std::optional<Result<>> end_;
  bool aborted_ = false;
  std::string encoding_;
  google::protobuf::MessageLite* waiting_ = nullptr;
  std::optional<Result<bool>> delivered_;
  Suspension reader_;
};

}  // namespace multigres::rpc
