#include "common/provisioner/readiness.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/pgdata/postmaster_file.h"
#include "common/rpc/channel.h"
#include "pgctldservice.pb.h"
#include "pgctldservice.rpc.h"
#include "tools/fs/file.h"
#include "tools/http/client.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

namespace {

constexpr Duration kProbeTime = 1s;

Awaitable<Result<>> ProbeTcp(Reactor& reactor, std::string host, std::uint16_t port) {
  TcpAddress address;
  address.host = std::move(host);
  address.port = port;
  auto stream = co_await Connect(reactor, address, reactor.clock().After(kProbeTime));
  if (!stream) co_return Fail(std::move(stream), fmt::format("port {}", port));
  co_return Result<>();
}

Awaitable<Result<>> ProbeHttp(Reactor& reactor, std::string host, std::uint16_t port, std::string page,
                              std::string expected) {
  TcpAddress address;
  address.host = std::move(host);
  address.port = port;
  http::ClientRequest request;
  request.target = page;
  auto response = co_await http::Fetch(reactor, address, std::move(request), reactor.clock().After(kProbeTime));
  if (!response) co_return Fail(std::move(response), page);
  if (response->status != 200 || response->body.find(expected) == std::string::npos) {
    co_return Fail(Code::kUnavailable, fmt::format("{} answers {}: {}", page, response->status, response->body));
  }
  co_return Result<>();
}

Awaitable<Result<>> ProbePgctld(Reactor& reactor, std::string socket) {
  auto channel = rpc::Channel::Create(reactor, UnixAddress{std::move(socket)});
  rpc::CallOptions options;
  options.deadline = reactor.clock().After(kProbeTime);
  auto status = co_await pgctldservice::rpc::PgCtldClient(*channel).Status({}, options);
  co_await channel->Close();
  if (!status) co_return Fail(std::move(status), "Status RPC");
  co_return Result<>();
}

}  // namespace

Awaitable<Result<>> ProbeService(Reactor& reactor, ServiceSpec spec) {
  if (spec.service == "etcd") {
    co_return co_await ProbeHttp(reactor, spec.host, spec.ports.at("metrics_port"), "/health", "true");
  }
  for (const auto& [name, port] : spec.ports) {
    // PostgreSQL is started later, by the pooler.
    if (spec.service == "pgctld" && name == "pg_port") continue;
    auto open = co_await ProbeTcp(reactor, spec.host, port);
    if (!open) co_return open;
  }
  const auto http = spec.ports.find("http_port");
  if (http != spec.ports.end()) {
    auto live = co_await ProbeHttp(reactor, spec.host, http->second, "/live", "");
    if (!live) co_return live;
  }
  if (spec.service == "pgctld") co_return co_await ProbePgctld(reactor, spec.grpc_socket);
  co_return Result<>();
}

bool CanBind(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return false;
  bool bound = true;
  for (const addrinfo* address = found; address != nullptr && bound; address = address->ai_next) {
    const int fd = ::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bound = ::bind(fd, address->ai_addr, address->ai_addrlen) == 0 && ::listen(fd, 1) == 0;
    ::close(fd);
  }
  ::freeaddrinfo(found);
  return bound;
}

Result<> CheckPortsFree(const ServiceSpec& spec, const std::string& bind_address) {
  for (const auto& [name, port] : spec.ports) {
    // A PostgreSQL that outlived its pgctld is adopted by the next one.
    if (spec.service == "pgctld" && name == "pg_port" && pgdata::FindPostmaster(spec.pg_data_dir)) continue;
    if (CanBind(bind_address, port)) continue;
    return Fail(Code::kUnavailable,
                fmt::format("cannot start {}: port {} ({}) is already in use by another process; end that process, or "
                            "give the service another port in the configuration",
                            spec.Display(), port, name));
  }
  return {};
}

std::string LastLines(const std::string& path, std::size_t count) {
  auto text = fs::ReadFile(path);
  if (!text) return {};
  while (text->ends_with('\n')) text->pop_back();
  std::size_t begin = text->size();
  for (std::size_t i = 0; i < count && begin != std::string::npos && begin > 0; ++i) {
    begin = text->rfind('\n', begin - 1);
  }
  return begin == std::string::npos || begin == 0 ? *text : text->substr(begin + 1);
}

}  // namespace multigres::provisioner
