// One HTTP/2 stream as both sides of a call see it: what the session calls, and the two halves of the bytes.
#pragma once

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <span>
#include <string_view>

#include "common/rpc/message_receiver.h"
#include "common/rpc/slice_queue.h"
#include "tools/async/event.h"

namespace multigres::rpc {

class Http2Session;

struct HeaderField {
  std::string_view name;
  std::string_view value;
  bool repeats = true;  // worth a place in the peer's header table
};

class Http2Stream : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
                    private MessageReceiver::Window {
 public:
  Http2Stream() : in_(*this) {}
  virtual ~Http2Stream() = default;

  // The session's calls, made inside nghttp2's callbacks: they note what happened, and never run anybody's coroutine.
  virtual void OnHeader(std::string_view name, std::string_view value) = 0;
  virtual void OnHeadersTooLarge() = 0;
  virtual void OnHeadersEnd(bool end_of_stream) = 0;
  virtual void OnDataEnd() = 0;
  // All that was queued has been framed and no more comes: true if trailers have been submitted instead of an end.
  virtual bool OnOutputEnd() = 0;
  // The last call: the session has forgotten the stream. `http2_error` as in RST_STREAM; 0 = a complete exchange.
  virtual void OnClosed(std::uint32_t http2_error) = 0;
  // The last call, if the connection ended first.
  virtual void OnConnectionLost(const Error& why) = 0;

 protected:
  friend class Http2Session;

  // True once the first byte of its headers has been handed to the operating system: it may have reached the peer.
  bool MayHaveBeenSent() const;
  // All of it is still here, so that another connection can have it.
  bool CanStartAgain() const { return !MayHaveBeenSent() && !output_taken_; }
  // Tells the session that there is something new in `out_`, or its end.
  void OutputChanged();

  Http2Session* session_ = nullptr;  // null before the stream is submitted and after it is closed
  std::int32_t id_ = -1;
  MessageReceiver in_;
  SliceQueue out_;
  bool out_ended_ = false;  // nothing will be added to out_
  Event writable_;          // pulsed when out_ has room again, and when the stream is closed

 private:
  void GiveCredit(std::size_t bytes) override;

  std::size_t header_list_bytes_ = 0;
  bool headers_too_large_ = false;
  bool deferred_ = false;                             // nghttp2 waits to be told of new output
  std::uint64_t headers_offset_ = ~std::uint64_t{0};  // where in the connection's output its headers begin
  bool output_taken_ = false;                         // some of out_ has gone to the connection
  bool reset_ = false;                                // RST_STREAM has been submitted
  bool was_sent_ = false;                             // MayHaveBeenSent() as it was when the session forgot the stream
};

}  // namespace multigres::rpc
