#include "tools/http/server.h"

#include <list>

#include "tools/async/event.h"
#include "tools/async/task_group.h"
#include "tools/http/codec.h"
#include "tools/result/check.h"

namespace multigres::http {

namespace {

bool IsChanging(std::string_view method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

// "http://localhost:15000" is the page's own origin if it was served under that Host.
bool IsForeign(std::string_view origin, std::string_view host) {
  const auto scheme = origin.find("://");
  if (scheme == std::string_view::npos) return true;  // "null"
  const auto normal = [](std::string_view name, std::string_view default_port) {
    std::string lower(name);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (lower.ends_with(default_port)) lower.resize(lower.size() - default_port.size());
    return lower;
  };
  const std::string_view port = origin.starts_with("https:") ? ":443" : ":80";
  return normal(origin.substr(scheme + 3), port) != normal(host, port);
}

void AddCors(Response& response) {
  response.headers.Set("Access-Control-Allow-Origin", "*");
  response.headers.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
  response.headers.Set("Access-Control-Allow-Headers", "Content-Type, Authorization");
}

class ServerImpl final : public Server {
 public:
  ServerImpl(Reactor& reactor, const Router& router, Logger logger, ServerOptions options)
      : reactor_(reactor),
        router_(router),
        logger_(std::move(logger)),
        options_(options),
        acceptors_(reactor.executor()),
        connections_(reactor.executor()) {}

  Result<std::uint16_t> Listen(const Address& address) override {
    auto listener = Listener::Open(reactor_, address);
    if (!listener) return std::unexpected(std::move(listener.error()));
    const std::uint16_t port = (*listener)->port();
    listeners_.push_back(std::move(*listener));
    acceptors_.Spawn("http accept", AcceptLoop(*listeners_.back()));
    return port;
  }

  Awaitable<void> Stop(Deadline deadline) override {
    stopping_ = true;
    for (auto& listener : listeners_) listener->Close();
    below_limit_.Set();
    co_await acceptors_.Join();
    for (Connection* connection : open_) {
      if (connection->idle) connection->stream->CancelWaits();
    }
    while (!open_.empty()) {
      if (!co_await changed_.WaitUntil(reactor_.clock(), deadline)) break;
    }
    co_await connections_.CancelAndJoin();
  }

 private:
  struct Connection {
    std::unique_ptr<ByteStream> stream;
    bool idle = false;
    bool late = false;
    std::list<Connection*>::iterator place;
  };
  // Keeps open_ true however a connection's coroutine ends.
  class Registration {
   public:
    Registration(ServerImpl& server, Connection& connection) : server_(server), connection_(connection) {
      connection_.place = server_.open_.insert(server_.open_.end(), &connection_);
    }
    ~Registration() {
      server_.open_.erase(connection_.place);
      server_.below_limit_.Set();
      server_.changed_.Pulse();
    }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

   private:
    ServerImpl& server_;
    Connection& connection_;
  };

  Awaitable<void> AcceptLoop(Listener& listener);
  Awaitable<void> Serve(std::unique_ptr<ByteStream> stream);
  // False once the connection is of no more use.
  Awaitable<bool> ReadRequest(Connection& connection, RequestReader& reader);
  Awaitable<Response> Answer(Request& request);
  Awaitable<bool> Send(Connection& connection, std::string bytes);

  Reactor& reactor_;
  const Router& router_;
  Logger logger_;
  ServerOptions options_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::list<Connection*> open_;
  Event below_limit_;
  Event changed_;
  TaskGroup acceptors_;
  TaskGroup connections_;
};

Awaitable<void> ServerImpl::AcceptLoop(Listener& listener) {
  while (!stopping_) {
    while (connections_.size() >= options_.max_connections && !stopping_) {
      below_limit_.Reset();
      co_await below_limit_.Wait();
    }
    auto stream = co_await listener.Accept();
    if (!stream) break;
    connections_.Spawn("http connection", Serve(std::move(*stream)));
  }
}

Awaitable<void> ServerImpl::Serve(std::unique_ptr<ByteStream> stream) {
  Connection connection{.stream = std::move(stream)};
  const Registration registration(*this, connection);
  RequestReader reader(options_.max_header_bytes, options_.max_body_bytes);
  while (co_await ReadRequest(connection, reader)) {
    Request request = reader.Take();
    request.peer = connection.stream->PeerName();
    const bool keep_alive = reader.keep_alive() && !stopping_;
    const Response response = co_await Answer(request);
    const bool sent =
        co_await Send(connection, EncodeResponse(response, request.method == "HEAD", keep_alive && !stopping_));
    if (!sent || !keep_alive || stopping_) break;
  }
  connection.stream->ShutdownWrite();
  connection.stream->Close();
}

Awaitable<bool> ServerImpl::ReadRequest(Connection& connection, RequestReader& reader) {
  ByteStream& stream = *connection.stream;
  Timer timer;
  const auto expire = [&connection] {
    connection.late = true;
    connection.stream->CancelWaits();
  };
  enum class Phase : std::uint8_t { kNone, kIdle, kHeader, kBody };
  Phase phase = Phase::kNone;
  std::array<std::byte, 16 * 1024> buffer;
  while (true) {
    const auto state = reader.Parse();
    if (state == RequestReader::State::kDone) co_return true;
    if (state == RequestReader::State::kBad) {
      Response response = TextResponse(reader.bad_status(), std::string(ReasonPhrase(reader.bad_status())) + "\n");
      static_cast<void>(co_await Send(connection, EncodeResponse(response, false, false)));
      co_return false;
    }
    if (reader.TakeExpectContinue() && !co_await Send(connection, "HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
    const Phase now = !reader.HasBytes() ? Phase::kIdle : reader.HeaderDone() ? Phase::kBody : Phase::kHeader;
    if (now != phase) {
      const Duration limit = now == Phase::kHeader ? options_.header_timeout : options_.idle_timeout;
      timer = reactor_.clock().Schedule(limit, expire);
      phase = now;
    }
    connection.idle = phase == Phase::kIdle;
    if (connection.idle && stopping_) co_return false;
    auto readable = co_await stream.WaitReadable();
    if (!readable || connection.late) co_return false;
    auto outcome = stream.TryRead(buffer);
    if (!outcome || outcome->status == IoStatus::kEof) co_return false;
    if (outcome->bytes > 0) {
      connection.idle = false;
      reader.Append({reinterpret_cast<const char*>(buffer.data()), outcome->bytes});
    }
  }
}

Awaitable<Response> ServerImpl::Answer(Request& request) {
  if (request.path.empty()) co_return TextResponse(400, "Bad Request\n");
  if (request.method == "OPTIONS") {
    Response response{.status = 204};
    AddCors(response);
    co_return response;
  }
  const std::string_view origin = request.headers.Get("Origin");
  if (IsChanging(request.method) && !origin.empty() && IsForeign(origin, request.headers.Get("Host"))) {
    logger_.Warn("cross-origin request refused",
                 {{"origin", origin}, {"method", request.method}, {"path", request.path}, {"peer", request.peer}});
    co_return TextResponse(403, "cross-origin requests may only read\n");
  }
  Router::Match match = router_.Find(request.method, request.path);
  Response response;
  if (match.handler != nullptr) {
    request.params = std::move(match.params);
    response = co_await (*match.handler)(request);
  } else if (!match.allow.empty()) {
    response = TextResponse(405, "Method Not Allowed\n");
    response.headers.Set("Allow", match.allow);
  } else {
    response = TextResponse(404, "Not Found\n");
  }
  if (!IsChanging(request.method)) AddCors(response);
  co_return response;
}

Awaitable<bool> ServerImpl::Send(Connection& connection, std::string bytes) {
  // A client that doesn't read must not keep its connection for ever.
  Timer timer = reactor_.clock().Schedule(options_.idle_timeout, [&connection] { connection.stream->Close(); });
  auto sent = co_await WriteAll(*connection.stream, std::as_bytes(std::span(bytes)));
  co_return sent.has_value();
}

}  // namespace

std::unique_ptr<Server> Server::Create(Reactor& reactor, const Router& router, Logger logger, ServerOptions options) {
  return std::make_unique<ServerImpl>(reactor, router, std::move(logger), options);
}

}  // namespace multigres::http
