#include "common/portpool/port_pool_server.h"

#include <unistd.h>

#include "tools/net/line_stream.h"

namespace multigres::portpool {

PortPoolServer::PortPoolServer(Reactor& reactor) : reactor_(reactor), tasks_(reactor.executor()) {}

PortPoolServer::~PortPoolServer() = default;

Result<> PortPoolServer::Listen(const std::string& path) {
  ::unlink(path.c_str());
  auto listener = Listener::Open(reactor_, UnixAddress{path});
  if (!listener) return std::unexpected(std::move(listener.error()));
  path_ = path;
  listener_ = std::move(*listener);
  tasks_.Spawn("accept", AcceptLoop(*this));
  return {};
}

Awaitable<void> PortPoolServer::AcceptLoop(PortPoolServer& self) {
  for (;;) {
    auto stream = co_await self.listener_->Accept();
    if (!stream) co_return;
    self.tasks_.Spawn("port pool client", Serve(self, std::move(*stream)));
  }
}

Awaitable<void> PortPoolServer::Serve(PortPoolServer& self, std::unique_ptr<ByteStream> stream) {
  LineStream lines(std::move(stream));
  PortPoolSession session(self.pool_);
  for (;;) {
    auto line = co_await lines.ReadLine();
    if (!line || !*line) co_return;
    const std::string answer = session.Answer(**line);
    if (answer.empty()) continue;
    auto written = co_await lines.WriteLine(answer);
    if (!written) co_return;
  }
}

Awaitable<void> PortPoolServer::Close() {
  if (listener_) listener_->Close();
  co_await tasks_.CancelAndJoin();
  if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace multigres::portpool
