#include "common/portpool/port_pool_client.h"

#include <charconv>

#include "tools/async/event.h"
#include "tools/net/socket.h"

namespace multigres::portpool {

using namespace std::chrono_literals;

namespace {

constexpr int kAttempts = 10;
constexpr Duration kPause = 500ms;

}  // namespace

PortPoolClient::~PortPoolClient() = default;

Awaitable<std::unique_ptr<PortPoolClient>> PortPoolClient::Open(Reactor& reactor, std::string socket_path,
                                                                Logger logger) {
  std::unique_ptr<PortPoolClient> client(new PortPoolClient());
  if (socket_path.empty()) co_return client;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    auto stream = co_await Connect(reactor, UnixAddress{socket_path}, reactor.clock().After(kPause));
    if (stream) {
      client->lines_ = std::make_unique<LineStream>(std::move(*stream));
      co_return client;
    }
    if (attempt == kAttempts) {
      logger.Warn("port pool server not reachable, finding ports in this process",
                  {{"address", socket_path}, {"error", stream.error()}});
      break;
    }
    co_await SleepFor(reactor.clock(), kPause);
  }
  co_return client;
}

Awaitable<Result<std::string>> PortPoolClient::Ask(std::string line) {
  if (!lines_) co_return session_.Answer(line);
  auto written = co_await lines_->WriteLine(line);
  if (!written) co_return Fail(std::move(written), "port pool server");
  auto answer = co_await lines_->ReadLine();
  if (!answer) co_return Fail(std::move(answer), "port pool server");
  if (!*answer) co_return Fail(Code::kUnavailable, "the port pool server closed the connection");
  co_return std::move(**answer);
}

Awaitable<Result<std::uint16_t>> PortPoolClient::Allocate() {
  static constexpr std::string_view kPort = "PORT ";
  std::string last;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto answer = co_await Ask("ALLOC");
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    last = std::move(*answer);
    if (!last.starts_with(kPort)) continue;
    std::uint16_t port = 0;
    std::from_chars(last.data() + kPort.size(), last.data() + last.size(), port);
    if (port != 0) co_return port;
  }
  co_return Fail(Code::kResourceExhausted, "no port from the pool: " + last);
}

Awaitable<Result<>> PortPoolClient::Return(std::uint16_t port) {
  auto answer = co_await Ask(fmt::format("RETURN {}", port));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (*answer != "OK") co_return Fail(Code::kInternal, *answer);
  co_return Result<>();
}

}  // namespace multigres::portpool
