// The pool on a unix socket.
#pragma once

#include <memory>
#include <string>

#include "common/portpool/port_pool.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/net/socket.h"

namespace multigres::portpool {

class PortPoolServer {
 public:
  explicit PortPoolServer(Reactor& reactor);
  ~PortPoolServer();
  // Listens; a socket file that is in the way is removed.
  Result<> Listen(const std::string& path);
  // Ends all connections and removes the socket file. Await it before destruction.
  Awaitable<void> Close();
  std::size_t allocated() const { return pool_.size(); }

 private:
  static Awaitable<void> AcceptLoop(PortPoolServer& self);
  static Awaitable<void> Serve(PortPoolServer& self, std::unique_ptr<ByteStream> stream);

  Reactor& reactor_;
  PortPool pool_;
  std::string path_;
  std::unique_ptr<Listener> listener_;
  TaskGroup tasks_;
};

}  // namespace multigres::portpool
