// How the CLI talks to the supervisor: one JSON object a line, over a unix socket, each answered by one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/provisioner/supervisor.h"
#include "tools/net/line_stream.h"
#include "tools/net/socket.h"

namespace multigres::provisioner {

// The supervisor's end. Commands: start, list, shutdown.
class SupervisorServer {
 public:
  SupervisorServer(Reactor& reactor, Supervisor& supervisor, Logger logger);
  ~SupervisorServer();
  // The socket is made accessible to its owner alone.
  Result<> Listen(const std::string& socket_path);
  // Set once somebody asked for the end.
  Event& shutdown_requested() { return shutdown_; }
  // Ends all conversations.
  Awaitable<void> Close();

 private:
  static Awaitable<void> AcceptLoop(SupervisorServer& self);
  static Awaitable<void> Converse(SupervisorServer& self, std::unique_ptr<ByteStream> stream);
  std::string Answer(const std::string& line);

  Reactor& reactor_;
  Supervisor& supervisor_;
  Logger logger_;
  std::unique_ptr<Listener> listener_;
  Event shutdown_;
  TaskGroup tasks_;
};

// The CLI's end.
class SupervisorClient {
 public:
  // UNAVAILABLE if no supervisor listens there.
  static Awaitable<Result<std::unique_ptr<SupervisorClient>>> Connect(Reactor& reactor, std::string socket_path);

  Awaitable<Result<Supervisor::Started>> Start(ServiceSpec spec);
  Awaitable<Result<std::vector<Supervisor::Status>>> List();
  // Returns at once; the supervisor's process ends when everything has stopped.
  Awaitable<Result<>> Shutdown();

 private:
  explicit SupervisorClient(std::unique_ptr<ByteStream> stream) : lines_(std::move(stream), std::size_t{1} << 20) {}
  Awaitable<Result<std::string>> Ask(std::string request);
  LineStream lines_;
};

}  // namespace multigres::provisioner
