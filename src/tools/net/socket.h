// Plain sockets: connecting, listening, and the ByteStream over them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "tools/async/reactor.h"
#include "tools/net/byte_stream.h"

namespace multigres {

struct TcpAddress {
  std::string host;  // name or literal
  std::uint16_t port = 0;
};
struct UnixAddress {
  std::string path;
};
using Address = std::variant<TcpAddress, UnixAddress>;

// "host:port", "[::1]:80", "unix:/path" or "/path".
Result<Address> ParseAddress(std::string_view text);
std::string ToString(const Address& address);

// Resolves and connects, trying each address in turn. TCP_NODELAY is set. UNAVAILABLE (did not execute) or
// DEADLINE_EXCEEDED.
Awaitable<Result<std::unique_ptr<ByteStream>>> Connect(Reactor& reactor, Address address, Deadline deadline);

struct ListenOptions {
  bool reuse_port = false;  // several reactors share a TCP port
  int backlog = 1024;
};

// A listening socket. Accept() gives connections that belong to the reactor named there.
class Listener {
 public:
  // Binds and listens. A stale unix socket file is removed. UNAVAILABLE with a text that names the address if it is in
  // use.
  static Result<std::unique_ptr<Listener>> Open(Reactor& reactor, const Address& address, ListenOptions options = {});
  virtual ~Listener() = default;

  // UNAVAILABLE after Close(). Survives transient errors (EMFILE, ECONNABORTED) by itself.
  virtual Awaitable<Result<int>> AcceptFd() = 0;
  // The stream over an accepted descriptor; call it on `owner`'s thread.
  static std::unique_ptr<ByteStream> Adopt(Reactor& owner, int fd);
  // AcceptFd() + Adopt() on this reactor.
  Awaitable<Result<std::unique_ptr<ByteStream>>> Accept();
  virtual void Close() = 0;
  // The port actually bound (for port 0); 0 for a unix socket.
  virtual std::uint16_t port() const = 0;

 protected:
  explicit Listener(Reactor& reactor) : reactor_(reactor) {}
  Reactor& reactor_;
};

}  // namespace multigres
