#include "common/portpool/port_pool.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

namespace multigres::portpool {

Result<std::uint16_t> FindFreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail(Code::kResourceExhausted, "no socket left");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(fd, any, size) == 0 && ::getsockname(fd, any, &size) == 0;
  ::close(fd);
  if (!bound) return Fail(Code::kResourceExhausted, "no port left");
  return ntohs(address.sin_port);
}

Result<std::uint16_t> PortPool::Allocate() {
  auto port = find_();
  if (!port) return port;
  if (!taken_.insert(*port).second) return Fail(Code::kAborted, "port collision, retry");
  return port;
}

PortPoolSession::~PortPoolSession() {
  for (const std::uint16_t port : held_) pool_.Free(port);
}

std::string PortPoolSession::Answer(std::string_view line) {
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  if (line.empty()) return {};
  const auto space = line.find(' ');
  const auto command = line.substr(0, space);
  const auto argument = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  if (command == "PING") return "PONG";
  if (command == "ALLOC") {
    auto port = pool_.Allocate();
    if (!port) return "ERR " + port.error().message();
    held_.insert(*port);
    return fmt::format("PORT {}", *port);
  }
  if (command == "RETURN") return Return(argument);
  return fmt::format("ERR unknown command: {}", command);
}

std::string PortPoolSession::Return(std::string_view argument) {
  while (!argument.empty() && argument.front() == ' ') argument.remove_prefix(1);
  if (argument.empty()) return "ERR missing port";
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(argument.data(), argument.data() + argument.size(), port);
  if (parsed.ec != std::errc() || parsed.ptr != argument.data() + argument.size() || port == 0) {
    return "ERR invalid port";
  }
  // Only its holder frees a port; what isn't held any more is returned already.
  if (held_.erase(port) > 0) pool_.Free(port);
  return "OK";
}

}  // namespace multigres::portpool
