#include "services/pgctld/readiness.h"

#include "tools/async/task_group.h"
#include "tools/net/socket.h"

namespace multigres::pgctld {

namespace {

constexpr std::string_view kCannotConnectNow = "57P03";

void AppendInt32(std::string& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<char>((value >> shift) & 0xff));
}

std::string StartupMessage(const std::string& user) {
  std::string body;
  AppendInt32(body, 3U << 16);
  for (const std::string_view part :
       {std::string_view("user"), std::string_view(user), std::string_view("database"), std::string_view("postgres")}) {
    body.append(part).push_back('\0');
  }
  body.push_back('\0');
  std::string message;
  AppendInt32(message, static_cast<std::uint32_t>(body.size() + 4));
  return message + body;
}

// Reads until an ErrorResponse's end or any other message's first byte.
Awaitable<Readiness> ReadAnswer(ByteStream& stream) {
  std::string received;
  std::array<std::byte, 1024> buffer{};
  while (received.size() < 64 * 1024) {
    if (auto waited = co_await stream.WaitReadable(); !waited) co_return Readiness::kNoAnswer;
    auto read = stream.TryRead(buffer);
    if (!read) co_return Readiness::kNoAnswer;
    received.append(reinterpret_cast<const char*>(buffer.data()), read->bytes);
    if (!received.empty() && received[0] != 'E') co_return Readiness::kReady;
    // The field C (SQLSTATE) follows a zero byte; the message is complete when the server closes.
    if (received.find(std::string("\0C", 2) + std::string(kCannotConnectNow)) != std::string::npos) {
      co_return Readiness::kRejecting;
    }
    if (read->status == IoStatus::kEof) co_return received.empty() ? Readiness::kNoAnswer : Readiness::kReady;
  }
  co_return Readiness::kNoAnswer;
}

}  // namespace

Awaitable<Readiness> ProbeReadiness(Reactor& reactor, std::string socket_path, std::string user, Deadline deadline) {
  auto stream = co_await Connect(reactor, UnixAddress{std::move(socket_path)}, deadline);
  if (!stream) co_return Readiness::kNoAnswer;
  // Closing ends the waits below.
  Timer timer;
  if (!deadline.IsNever()) timer = reactor.clock().ScheduleAt(deadline.at(), [&stream] { (*stream)->Close(); });
  const std::string message = StartupMessage(user);
  auto written = co_await WriteAll(**stream, std::as_bytes(std::span(message)));
  if (!written) co_return Readiness::kNoAnswer;
  const Readiness readiness = co_await ReadAnswer(**stream);
  timer.Cancel();
  (*stream)->Close();
  co_return readiness;
}

}  // namespace multigres::pgctld
