#include "common/rpc/message_receiver.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/rpc/message_frame.h"
#include "common/rpc/service.h"
#include "tools/result/check.h"

namespace multigres::rpc {

namespace {
// A buffer that grew beyond this isn't kept for the next message.
constexpr std::size_t kKeptBufferBytes = 64 * 1024;
}  // namespace

void MessageReceiver::Append(std::span<const std::uint8_t> bytes) {
  if (aborted_ || end_) {
    window_.GiveCredit(bytes.size());
    return;
  }
  uncredited_ += bytes.size();
  if (waiting_ != nullptr && buffer_.empty()) {
    // The common case: the reader is there and the message is whole, so it is parsed from where it was received.
    std::size_t taken = 0;
    auto result = Take(bytes, *waiting_, taken);
    bytes = bytes.subspan(taken);
    if (result) Deliver(std::move(*result));
  }
  Keep(bytes);
  if (waiting_ != nullptr) DeliverBuffered();
}

void MessageReceiver::End(Result<> status) {
  if (end_) return;
  end_ = std::move(status);
  if (waiting_ != nullptr) DeliverBuffered();
}

void MessageReceiver::Abort(Error error) {
  if (aborted_) return;
  aborted_ = true;
  end_ = std::unexpected(std::move(error));
  buffer_ = std::string();
  offset_ = 0;
  Credit(uncredited_);
  if (waiting_ != nullptr) DeliverBuffered();
}

Awaitable<Result<bool>> MessageReceiver::Read(google::protobuf::MessageLite& message) {
  CHECK(waiting_ == nullptr, "second reader of a call");
  if (auto taken = TakeBuffered(message)) co_return std::move(*taken);
  // All that is buffered is the beginning of the message that this reader wants.
  Credit(uncredited_);
  struct Waiting {
    google::protobuf::MessageLite*& slot;
    ~Waiting() { slot = nullptr; }
  } waiting{waiting_};
  waiting_ = &message;
  co_await reader_.Wait();
  co_return std::move(*std::exchange(delivered_, std::nullopt));
}

std::optional<Result<bool>> MessageReceiver::Take(std::span<const std::uint8_t> bytes,
                                                  google::protobuf::MessageLite& message, std::size_t& taken) {
  if (bytes.size() < kFramePrefixBytes) return std::nullopt;
  const FramePrefix prefix = ParseFramePrefix(bytes.data());
  if (prefix.compressed) {
    return Break(Error(Code::kUnimplemented,
                       fmt::format("compressed messages are not supported (grpc-encoding \"{}\")", encoding_)));
  }
  if (prefix.length > kMaxMessageBytes) {
    return Break(Error(Code::kResourceExhausted,
                       fmt::format("received message larger than max ({} vs. {})", prefix.length, kMaxMessageBytes)));
  }
  const std::size_t total = kFramePrefixBytes + prefix.length;
  if (bytes.size() < total) {
    buffer_.reserve(offset_ + total);
    return std::nullopt;
  }
  if (!message.ParseFromArray(bytes.data() + kFramePrefixBytes, static_cast<int>(prefix.length))) {
    return Break(Error(Code::kInternal, "cannot parse the message as " + message.GetTypeName()));
  }
  taken = total;
  Credit(std::min(total, uncredited_));
  return true;
}

std::optional<Result<bool>> MessageReceiver::TakeBuffered(google::protobuf::MessageLite& message) {
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(buffer_.data()) + offset_,
                                            buffer_.size() - offset_);
  if (!aborted_ && !bytes.empty()) {
    std::size_t taken = 0;
    auto result = Take(bytes, message, taken);
    offset_ += taken;
    if (offset_ == buffer_.size()) {
      buffer_.clear();
      offset_ = 0;
      if (buffer_.capacity() > kKeptBufferBytes) buffer_ = std::string();
    }
    if (result) return result;
  }
  if (!end_) return std::nullopt;
  if (!*end_) return std::unexpected(end_->error());
  if (!buffer_.empty()) return Fail(Code::kInternal, "the stream ended within a message");
  return false;
}

// What follows an error of framing can't be understood.
std::optional<Result<bool>> MessageReceiver::Break(Error error) {
  aborted_ = true;
  end_ = std::unexpected(error);
  Credit(uncredited_);
  return std::unexpected(std::move(error));
}

void MessageReceiver::Deliver(Result<bool> result) {
  waiting_ = nullptr;
  delivered_ = std::move(result);
  reader_.Resume();
}

void MessageReceiver::DeliverBuffered() {
  if (auto result = TakeBuffered(*waiting_)) {
    Deliver(std::move(*result));
  } else {
    Credit(uncredited_);
  }
}

void MessageReceiver::Keep(std::span<const std::uint8_t> bytes) {
  if (bytes.empty() || aborted_) return;
  if (offset_ > 0 && offset_ >= buffer_.size() / 2) {
    buffer_.erase(0, offset_);
    offset_ = 0;
  }
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void MessageReceiver::Credit(std::size_t bytes) {
  if (bytes == 0) return;
  uncredited_ -= bytes;
  window_.GiveCredit(bytes);
}

}  // namespace multigres::rpc
