#include "tools/net/socket.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>

#include <charconv>
#include <cstring>

#include "tools/async/event.h"

namespace multigres {

namespace {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

Error SystemError(std::string_view what, int number) {
  return Error(Code::kUnavailable, std::string(what) + ": " + std::strerror(number));
}

bool IsRetry(int number) {
  return number == EAGAIN || number == EWOULDBLOCK;
}

std::string NameOf(int fd, bool peer) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  const int rc = peer ? ::getpeername(fd, address, &length) : ::getsockname(fd, address, &length);
  if (rc != 0) return "unknown";
  if (storage.ss_family == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(&storage);
    return length > sizeof(sa_family_t) && un->sun_path[0] != '\0' ? std::string("unix:") + un->sun_path : "unix";
  }
  asio::ip::tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), &storage, std::min<std::size_t>(length, endpoint.capacity()));
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

class SocketStream final : public ByteStream {
 public:
  SocketStream(Executor executor, int fd) : descriptor_(executor, fd), peer_(NameOf(fd, true)) {
    descriptor_.non_blocking(true);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on a unix socket, harmlessly
  }

  Awaitable<Result<>> WaitReadable() override { return Wait(Descriptor::wait_read); }
  Awaitable<Result<>> WaitWritable() override { return Wait(Descriptor::wait_write); }

  Result<IoOutcome> TryRead(std::span<std::byte> buffer) override {
    if (!descriptor_.is_open()) return Fail(Code::kUnavailable, "connection closed");
    while (true) {
      const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), 0);
      if (n > 0) return IoOutcome{IoStatus::kDone, static_cast<std::size_t>(n)};
      if (n == 0) return IoOutcome{IoStatus::kEof, 0};
      if (errno == EINTR) continue;
      if (IsRetry(errno)) return IoOutcome{IoStatus::kWouldBlock, 0};
      return std::unexpected(SystemError("read", errno));
    }
  }

  Result<IoOutcome> TryWrite(std::span<const iovec> buffers) override {
    if (!descriptor_.is_open()) return Fail(Code::kUnavailable, "connection closed");
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(buffers.data());
    message.msg_iovlen = std::min<std::size_t>(buffers.size(), 1024);  // IOV_MAX
    while (true) {
      const ssize_t n = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
      if (n >= 0) return IoOutcome{IoStatus::kDone, static_cast<std::size_t>(n)};
      if (errno == EINTR) continue;
      if (IsRetry(errno)) return IoOutcome{IoStatus::kWouldBlock, 0};
      return std::unexpected(SystemError("write", errno));
    }
  }

  void CancelWaits() override {
    boost::system::error_code ignored;
    descriptor_.cancel(ignored);
  }
  void ShutdownWrite() override {
    if (descriptor_.is_open()) ::shutdown(fd(), SHUT_WR);
  }
  void Close() override {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
  }
  std::string PeerName() const override { return peer_; }
  int fd() const override { return const_cast<Descriptor&>(descriptor_).native_handle(); }

 private:
  Awaitable<Result<>> Wait(Descriptor::wait_type type) {
    if (!descriptor_.is_open()) co_return Fail(Code::kUnavailable, "connection closed");
    boost::system::error_code error;
    co_await descriptor_.async_wait(type, asio::redirect_error(kAwait, error));
    if (!error) co_return Result<>{};
    // A cancelled task unwinds at its next co_await; a Close() from elsewhere is an answer.
    co_return Fail(Code::kUnavailable, "connection closed");
  }

  Descriptor descriptor_;
  std::string peer_;
};

class SocketListener final : public Listener {
 public:
  SocketListener(Reactor& reactor, int fd, std::uint16_t port, std::string path)
      : Listener(reactor), descriptor_(reactor.executor(), fd), port_(port), path_(std::move(path)) {
    descriptor_.non_blocking(true);
  }
  ~SocketListener() override { Close(); }

  Awaitable<Result<int>> AcceptFd() override {
    while (descriptor_.is_open()) {
      const int fd = ::accept4(descriptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) co_return fd;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (!IsRetry(errno)) {
        // Out of descriptors or memory: the connection waits in the backlog until something is free again.
        co_await SleepFor(reactor_.clock(), std::chrono::milliseconds(50));
        continue;
      }
      boost::system::error_code error;
      co_await descriptor_.async_wait(Descriptor::wait_read, asio::redirect_error(kAwait, error));
      if (error) break;
    }
    co_return Fail(Code::kUnavailable, "listener closed");
  }

  void Close() override {
    if (!descriptor_.is_open()) return;
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  std::uint16_t port() const override { return port_; }

 private:
  Descriptor descriptor_;
  std::uint16_t port_;
  std::string path_;
};

Result<int> BindAndListen(int family, const sockaddr* address, socklen_t length, ListenOptions options,
                          const std::string& name) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(SystemError("socket", errno));
  const int on = 1;
  if (family != AF_UNIX) {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (options.reuse_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (::bind(fd, address, length) != 0 || ::listen(fd, options.backlog) != 0) {
    const int number = errno;
    ::close(fd);
    if (number == EADDRINUSE) return Fail(Code::kUnavailable, "cannot listen on " + name + ": address already in use");
    return std::unexpected(SystemError("cannot listen on " + name, number));
  }
  return fd;
}

// A file that nobody listens on any more may go; a live server's may not.
Result<> RemoveStaleSocket(const std::string& path, const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(SystemError("socket", errno));
  const int rc = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int number = errno;
  ::close(fd);
  if (rc == 0) return Fail(Code::kUnavailable, "cannot listen on unix:" + path + ": address already in use");
  if (number == ECONNREFUSED) ::unlink(path.c_str());
  return {};
}

}  // namespace

Result<Address> ParseAddress(std::string_view text) {
  if (text.starts_with("unix:")) return UnixAddress{std::string(text.substr(5))};
  if (text.starts_with('/')) return UnixAddress{std::string(text)};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "address '" + std::string(text) + "' lacks a port (host:port)");
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || host.empty()) {
    return Fail(Code::kInvalidArgument, "address '" + std::string(text) + "' is not host:port");
  }
  return TcpAddress{std::string(host), port};
}

std::string ToString(const Address& address) {
  if (const auto* un = std::get_if<UnixAddress>(&address)) return "unix:" + un->path;
  const auto& tcp = std::get<TcpAddress>(address);
  const bool v6 = tcp.host.find(':') != std::string::npos;
  return (v6 ? "[" + tcp.host + "]" : tcp.host) + ":" + std::to_string(tcp.port);
}

namespace {

// Waits for a non-blocking connect(2) on `fd`; owns it until it succeeds.
Awaitable<Result<std::unique_ptr<ByteStream>>> FinishConnect(Reactor& reactor, int fd, const sockaddr* address,
                                                             socklen_t length, std::string name, Deadline deadline) {
  const int rc = ::connect(fd, address, length);
  int number = rc == 0 ? 0 : errno;
  auto stream = std::make_unique<SocketStream>(reactor.executor(), fd);
  if (number == EINPROGRESS) {
    bool late = false;
    Timer timer;
    if (!deadline.IsNever()) {
      timer = reactor.clock().ScheduleAt(deadline.at(), [&] {
        late = true;
        stream->Close();
      });
    }
    auto writable = co_await stream->WaitWritable();
    if (late) co_return Fail(Code::kDeadlineExceeded, "connect to " + name + ": timed out");
    if (!writable) co_return Fail(std::move(writable), "connect to " + name);
    socklen_t size = sizeof number;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
  }
  if (number != 0) co_return std::unexpected(SystemError("connect to " + name, number));
  co_return std::unique_ptr<ByteStream>(std::move(stream));
}

Awaitable<Result<std::unique_ptr<ByteStream>>> ConnectOnce(Reactor& reactor, int family, const sockaddr* address,
                                                           socklen_t length, std::string name, Deadline deadline) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return std::unexpected(SystemError("socket", errno));
  co_return co_await FinishConnect(reactor, fd, address, length, std::move(name), deadline);
}

Result<sockaddr_un> UnixSocketAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Fail(Code::kInvalidArgument, "unix socket path '" + path + "' is empty or longer than 107 bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

Awaitable<Result<std::unique_ptr<ByteStream>>> Connect(Reactor& reactor, Address address, Deadline deadline) {
  const std::string name = ToString(address);
  Error last(Code::kUnavailable, "connect to " + name + ": no address found");
  if (const auto* un = std::get_if<UnixAddress>(&address)) {
    auto resolved = UnixSocketAddress(un->path);
    if (!resolved) co_return std::unexpected(std::move(resolved.error()));
    auto stream = co_await ConnectOnce(reactor, AF_UNIX, reinterpret_cast<const sockaddr*>(&*resolved),
                                       sizeof *resolved, name, deadline);
    if (stream) co_return stream;
    last = std::move(stream.error());
  } else {
    const auto& tcp = std::get<TcpAddress>(address);
    boost::system::error_code error;
    std::vector<asio::ip::tcp::endpoint> endpoints;
    const auto literal = asio::ip::make_address(tcp.host, error);
    if (!error) {
      endpoints.emplace_back(literal, tcp.port);
    } else {
      asio::ip::basic_resolver<asio::ip::tcp, Executor> resolver(reactor.executor());
      auto found =
          co_await resolver.async_resolve(tcp.host, std::to_string(tcp.port), asio::redirect_error(kAwait, error));
      if (error) {
        co_return std::unexpected(Error(Code::kUnavailable, "resolve " + tcp.host + ": " + error.message())
                                      .WithExecution(Execution::kDidNotExecute));
      }
      for (const auto& entry : found) endpoints.push_back(entry.endpoint());
    }
    for (const auto& endpoint : endpoints) {
      auto stream = co_await ConnectOnce(reactor, endpoint.data()->sa_family, endpoint.data(),
                                         static_cast<socklen_t>(endpoint.size()), name, deadline);
      if (stream) co_return stream;
      last = std::move(stream.error());
    }
  }
  co_return std::unexpected(std::move(last).WithExecution(Execution::kDidNotExecute));
}

Result<std::unique_ptr<Listener>> Listener::Open(Reactor& reactor, const Address& address, ListenOptions options) {
  const std::string name = ToString(address);
  if (const auto* un = std::get_if<UnixAddress>(&address)) {
    auto resolved = UnixSocketAddress(un->path);
    if (!resolved) return std::unexpected(std::move(resolved.error()));
    auto removed = RemoveStaleSocket(un->path, *resolved);
    if (!removed) return std::unexpected(std::move(removed.error()));
    auto fd = BindAndListen(AF_UNIX, reinterpret_cast<const sockaddr*>(&*resolved), sizeof *resolved, options, name);
    if (!fd) return std::unexpected(std::move(fd.error()));
    return std::make_unique<SocketListener>(reactor, *fd, 0, un->path);
  }
  const auto& tcp = std::get<TcpAddress>(address);
  boost::system::error_code error;
  asio::ip::tcp::resolver resolver(reactor.io());
  auto found = resolver.resolve(tcp.host.empty() ? "0.0.0.0" : tcp.host, std::to_string(tcp.port),
                                asio::ip::resolver_base::passive, error);
  if (error || found.empty()) return Fail(Code::kInvalidArgument, "cannot listen on " + name + ": " + error.message());
  const auto endpoint = found.begin()->endpoint();
  auto fd = BindAndListen(endpoint.data()->sa_family, endpoint.data(), static_cast<socklen_t>(endpoint.size()), options,
                          name);
  if (!fd) return std::unexpected(std::move(fd.error()));
  asio::ip::tcp::endpoint bound;
  socklen_t length = static_cast<socklen_t>(bound.capacity());
  ::getsockname(*fd, bound.data(), &length);
  return std::make_unique<SocketListener>(reactor, *fd, bound.port(), "");
}

std::unique_ptr<ByteStream> Listener::Adopt(Reactor& owner, int fd) {
  return std::make_unique<SocketStream>(owner.executor(), fd);
}

Awaitable<Result<std::unique_ptr<ByteStream>>> Listener::Accept() {
  auto fd = co_await AcceptFd();
  if (!fd) co_return std::unexpected(std::move(fd.error()));
  co_return Adopt(reactor_, *fd);
}

Awaitable<Result<>> WriteAll(ByteStream& stream, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const iovec vector{const_cast<std::byte*>(bytes.data()), bytes.size()};
    auto outcome = stream.TryWrite({&vector, 1});
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    bytes = bytes.subspan(outcome->bytes);
    if (!bytes.empty() || outcome->status == IoStatus::kWouldBlock) {
      auto writable = co_await stream.WaitWritable();
      if (!writable) co_return writable;
    }
  }
  co_return Result<>{};
}

Awaitable<Result<>> ReadExactly(ByteStream& stream, std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    auto outcome = stream.TryRead(buffer);
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    if (outcome->status == IoStatus::kEof) co_return Fail(Code::kUnavailable, "connection closed by peer");
    buffer = buffer.subspan(outcome->bytes);
    if (outcome->status == IoStatus::kWouldBlock) {
      auto readable = co_await stream.WaitReadable();
      if (!readable) co_return readable;
    }
  }
  co_return Result<>{};
}

}  // namespace multigres
