// The bytes of one PostgreSQL client: frames in, messages out.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/pgwire/framing.h"
#include "common/pgwire/wire_writer.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/net/byte_stream.h"

namespace multigres::gateway::listener {

// Lives on one reactor. What is written during a turn leaves in one system call at its end. A connection that waits for
// its client holds no buffer. Close() must be awaited before destruction.
class ClientConnection final : private TurnEndHook {
 public:
  ClientConnection(Reactor& reactor, std::unique_ptr<ByteStream> stream);
  ~ClientConnection();

  // The next whole message; nothing once the client is gone, or has announced a length that PostgreSQL doesn't take
  // (known as soon as the header is there; such a client is hung up on without a word). The view is good until the next
  // call. 08P01 for a type that no message has (close then).
  Awaitable<Result<std::optional<pgwire::Frame>>> ReadFrame();
  // From now on every read gives nothing at the deadline, and timed_out() is true then. Output still goes.
  void SetReadDeadline(Deadline deadline) { read_deadline_ = deadline; }
  bool timed_out() const { return timed_out_; }
  // The type of the message after the one that ReadFrame() gave last, whose view ends here; 0 once the client is gone.
  Awaitable<Result<char>> PeekNextType();
  // Makes the read in progress, if there is one, give nothing. The connection stays usable.
  void InterruptRead();
  // The startup packet without its length word; nothing once the client is gone. 08P01 if its length is impossible.
  Awaitable<Result<std::optional<std::string_view>>> ReadStartupPacket();
  // The next byte without taking it; nothing once the client is gone.
  Awaitable<Result<std::optional<char>>> PeekByte();

  // Messages are appended here and go out at the end of the turn that calls Flush(), or when Drain() is awaited.
  pgwire::WireWriter& out() { return out_; }
  void Flush();
  // Waits until at most `limit` bytes are still unsent: backpressure, and (with 0) the certainty of having sent all.
  Awaitable<Result<>> Drain(std::size_t limit);
  // Has writing failed (the client is gone)? Output is dropped from then on.
  bool broken() const { return broken_; }

  // Has the client closed its end, whatever it may have sent before? For when nobody reads. One system call.
  bool PeerHasLeft() const;

  // Hands the stream over (for a TLS handshake), with what was read from it but not consumed, and takes another.
  std::unique_ptr<ByteStream> TakeStream(std::string& unread);
  void SetStream(std::unique_ptr<ByteStream> stream);
  ByteStream& stream() { return *stream_; }
  bool encrypted() const { return stream_->IsEncrypted(); }
  const std::string& peer() const { return peer_; }
  Reactor& reactor() { return reactor_; }

  // Sends what is queued, for at most a second, then closes.
  Awaitable<void> Close();
  // Closes at once, mid-message if need be: wakes whoever waits here. From the same reactor.
  void Abort();

 private:
  void OnTurnEnd() override;
  void WriteSome();
  Awaitable<void> WriteRest();
  // False at the end of the stream or the deadline.
  Awaitable<Result<bool>> Fill();
  void Consume();

  Reactor& reactor_;
  std::unique_ptr<ByteStream> stream_;
  std::string peer_;
  pgwire::ByteBuffer in_;
  std::size_t consumed_ = 0;  // bytes at the front that the last message took
  pgwire::WireWriter out_;
  Deadline read_deadline_;
  bool timed_out_ = false;
  bool interrupted_ = false;
  bool broken_ = false;
  bool writing_ = false;  // WriteRest() runs
  Event written_;
  TaskGroup tasks_;
};

}  // namespace multigres::gateway::listener
