// Any bytes at all on a server's connection: they may end it, and nothing else.
#include <google/protobuf/wrappers.pb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "common/rpc/server_connection.h"
#include "tools/net/socket.h"
#include "tools/result/check.h"

namespace multigres::rpc {
namespace {

class Echo final : public Service {
 public:
  std::string_view full_name() const override { return "f.E"; }
  std::span<const MethodInfo> methods() const override {
    static constexpr MethodInfo kMethods[] = {{"C", CallShape::kBidi}};
    return kMethods;
  }
  Awaitable<Result<>> Handle(std::size_t, ServerCall& call) override {
    google::protobuf::StringValue message;
    while (true) {
      auto read = co_await call.Read(message);
      if (!read) co_return std::unexpected(std::move(read.error()));
      if (!*read) co_return Result<>{};
      auto written = co_await call.Write(message);
      if (!written) co_return written;
    }
  }
};

Awaitable<void> Serve(Reactor& reactor, const ServiceRegistry& registry, int fd) {
  const ServerOptions options;
  ServerConnection connection(reactor, Listener::Adopt(reactor, fd), registry, options);
  co_await connection.Run();
}

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// An empty SETTINGS frame.
constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);

// Mutations of an input that begins with '!' are put behind the preface, so that most of them get further than that.
void Run(std::string_view input) {
  Echo echo;
  ServiceRegistry registry;
  registry.Add(echo);
  int ends[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  std::string bytes;
  if (input.starts_with('!')) {
    bytes.append(kPreface).append(kSettings);
    input.remove_prefix(1);
  }
  bytes.append(input.substr(0, 60'000));
  CHECK(::send(ends[1], bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0);
  ::shutdown(ends[1], SHUT_WR);
  Reactor reactor;
  RunOnReactor(reactor, Serve(reactor, registry, ends[0]));
  ::close(ends[1]);
}

}  // namespace
}  // namespace multigres::rpc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  multigres::rpc::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
