// A connection as bytes: TCP, unix socket, or TLS over either. Reads and writes never block and never wait by
// themselves; the waits are separate, so that an idle connection needs no buffer and a turn's output leaves in one
// system call.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "tools/async/awaitable.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres {

enum class IoStatus : std::uint8_t { kDone, kWouldBlock, kEof };

struct IoOutcome {
  IoStatus status = IoStatus::kDone;
  std::size_t bytes = 0;
};

// Lives on one reactor. Errors: UNAVAILABLE with the system's text (reset, broken pipe, TLS alert).
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Returns when TryRead() has something to say (bytes, end, error); at once if bytes are buffered inside (TLS).
  virtual Awaitable<Result<>> WaitReadable() = 0;
  virtual Awaitable<Result<>> WaitWritable() = 0;
  // Reads up to buffer.size() bytes. kWouldBlock = nothing there now.
  virtual Result<IoOutcome> TryRead(std::span<std::byte> buffer) = 0;
  // Writes what the peer takes now; outcome.bytes of the vectors' total went (TLS may hold sealed bytes of its own and
  // then reports kWouldBlock until they are out).
  virtual Result<IoOutcome> TryWrite(std::span<const iovec> buffers) = 0;
  // Ends the waits of now with an error; the stream stays usable. For a wait with a deadline.
  virtual void CancelWaits() = 0;
  // Half-closes after what was written. Close() ends all waits with an error; both are idempotent.
  virtual void ShutdownWrite() = 0;
  virtual void Close() = 0;
  // "127.0.0.1:5432", "unix:/run/x.sock", for logs.
  virtual std::string PeerName() const = 0;
  // DER of the peer's certificate; empty without TLS or without one.
  virtual std::string PeerCertificate() const { return {}; }
  virtual bool IsEncrypted() const { return false; }
  // For readiness checks: the file descriptor.
  virtual int fd() const = 0;
};

// Loops over the primitives above: for handshakes and tests, not for the hot path.
Awaitable<Result<>> WriteAll(ByteStream& stream, std::span<const std::byte> bytes);
Awaitable<Result<>> ReadExactly(ByteStream& stream, std::span<std::byte> buffer);  // kEof before the end = UNAVAILABLE

}  // namespace multigres
