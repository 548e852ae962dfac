// The benchmark's floor: bytes of the same size over bare sockets. What a call with nobody beside it costs the kernel,
// whoever makes it: a write, a wake-up and a read on each side.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "bench_side.h"
#include "tools/result/check.h"

namespace multigres::interop {
namespace {

// HTTP/2 frames and compressed headers, as counted on our connections.
constexpr std::size_t kRequestOverheadBytes = 44;
constexpr std::size_t kResponseOverheadBytes = 36;

class Peer {
 public:
  explicit Peer(int socket) : socket_(socket), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    CHECK(socket_ >= 0 && epoll_ >= 0);
    const int on = 1;
    CHECK(setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    epoll_event event{.events = EPOLLIN, .data = {}};
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event) == 0);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    close(epoll_);
    close(socket_);
  }

  void Send(std::size_t bytes) {
    CHECK(send(socket_, buffer_.data(), bytes, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes));
  }
  // False = the other side is gone.
  bool Receive(std::size_t bytes) {
    while (bytes > 0) {
      epoll_event event{};
      if (epoll_wait(epoll_, &event, 1, -1) < 0) return false;
      const ssize_t received = recv(socket_, buffer_.data(), bytes, 0);
      if (received <= 0) return false;
      bytes -= static_cast<std::size_t>(received);
    }
    return true;
  }

 private:
  const int socket_;
  const int epoll_;
  std::array<char, 4096> buffer_{};
};

std::size_t RequestBytes() {
  return SampleStreamRequest().ByteSizeLong() + kRequestOverheadBytes;
}

std::size_t ResponseBytes() {
  return SampleStreamResponse().ByteSizeLong() + kResponseOverheadBytes;
}

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

void ServeRaw(int port_fd) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  CHECK(bind(listener, reinterpret_cast<const sockaddr*>(&address), length) == 0);
  CHECK(listen(listener, 1) == 0);
  CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const std::string text = std::to_string(ntohs(address.sin_port)) + "\n";
  CHECK(write(port_fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  Peer peer(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  const std::size_t request = RequestBytes();
  const std::size_t response = ResponseBytes();
  while (peer.Receive(request)) peer.Send(response);
}

Cost RunRaw(std::uint16_t port, pid_t server, const Load& load) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  CHECK(connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  Peer peer(connection);
  const std::size_t request = RequestBytes();
  const std::size_t response = ResponseBytes();
  const auto exchange = [&] {
    peer.Send(request);
    CHECK(peer.Receive(response));
  };
  for (int i = 0; i < 1000; ++i) exchange();

  Meter meter(server);
  meter.Start();
  const auto end = std::chrono::steady_clock::now() + load.duration;
  std::uint64_t calls = 0;
  for (; std::chrono::steady_clock::now() < end; ++calls) exchange();
  return meter.Stop(calls);
}

}  // namespace multigres::interop
