// The client against servers that a test scripts: hostile, slow or strange ones.
#include "common/pgclient/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "common/auth/scram_server.h"
#include "common/pgclient/query.h"
#include "common/pgwire/diagnostic.h"
#include "tools/async/event.h"
#include "tools/async/task_group.h"

namespace multigres::pgclient {
namespace {

using namespace std::literals;

constexpr auto kBound = 10s;

// Both ends of a socket pair on one reactor.
struct Pair {
  explicit Pair(Reactor& reactor) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
    client = Listener::Adopt(reactor, fds[0]);
    server = Listener::Adopt(reactor, fds[1]);
  }
  std::unique_ptr<ByteStream> client;
  std::unique_ptr<ByteStream> server;
};

pgwire::WireWriter Greeting() {
  pgwire::WireWriter out;
  pgwire::WriteAuthenticationOk(out);
  pgwire::WriteParameterStatus(out, "server_version", "15.99");
  pgwire::WriteBackendKeyData(out, 77, "abcd");
  pgwire::WriteReadyForQuery(out, pgwire::TransactionStatus::kIdle);
  return out;
}

Awaitable<void> Send(ByteStream& stream, std::string_view bytes) {
  auto sent = co_await WriteAll(stream, std::as_bytes(std::span(bytes)));
  EXPECT_TRUE(sent);
}

ConnectOptions Options() {
  ConnectOptions options;
  options.user = "alice";
  options.secret = std::string("secret");
  return options;
}

Awaitable<Result<std::unique_ptr<Connection>>> OpenWith(Reactor& reactor, Pair& pair, std::string_view answer) {
  co_await Send(*pair.server, answer);
  co_return co_await Connection::Open(reactor, std::move(pair.client), Options(),
                                      {reactor.clock().After(kBound), nullptr});
}

// Opens a connection whose server answers with `answer` at startup; gives the error.
Error StartupError(std::string answer, bool close = false) {
  Error error(Code::kOk, "it opened");
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor, std::string answer, bool close, Error& error) -> Awaitable<void> {
    Pair pair(reactor);
    if (close) {
      co_await Send(*pair.server, answer);
      pair.server->Close();
      answer.clear();
    }
    auto opened = co_await OpenWith(reactor, pair, answer);
    if (!opened) error = opened.error();
  }(reactor, std::move(answer), close, error));
  return error;
}

// An open connection and its server's end.
using Body = std::function<Awaitable<void>(Reactor&, Connection&, ByteStream&)>;
void OnOpen(Body body) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor, Body& body) -> Awaitable<void> {
    Pair pair(reactor);
    const auto greeting = Greeting();
    auto opened = co_await OpenWith(reactor, pair, greeting.view());
    EXPECT_TRUE(opened) << opened.error().ToString();
    if (!opened) co_return;
    std::byte startup[1024];
    EXPECT_TRUE(pair.server->TryRead(startup));
    co_await body(reactor, **opened, *pair.server);
  }(reactor, body));
}

TEST(ConnectionStartup, AServerThatClosesIsAConnectionErrorThatDidNotExecute) {
  const Error error = StartupError("", true);
  EXPECT_TRUE(IsConnectionError(error)) << error.ToString();
  EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
  EXPECT_TRUE(IsConnectionError(StartupError("R\0\0\0\x08\0\0"s, true)));
}

TEST(ConnectionStartup, NonsenseIsRefused) {
  EXPECT_EQ(StartupError("R\0\0\0\3"s).sqlstate(), "08P01");
  EXPECT_EQ(StartupError("HTTP/1.1 400 Bad Request\r\n\r\n"s).sqlstate(), "08P01");
  EXPECT_EQ(StartupError("R\0\0\0\5x"s).message(), "invalid Authentication message");
  EXPECT_EQ(StartupError("D\0\0\0\6\0\0"s).message(), "unexpected message 'D' from the server during startup");
  EXPECT_EQ(StartupError("R\0\0\0\x08\0\0\0\x07"s).message(),
            "the server asks for authentication method 7; only SCRAM-SHA-256 is supported");
}

TEST(ConnectionStartup, AnErrorBeforeTheServerClosesIsReported) {
  pgwire::WireWriter out;
  PgDiagnostic diagnostic;
  diagnostic.severity = "FATAL";
  diagnostic.code = "53300";
  diagnostic.message = "sorry, too many clients already";
  pgwire::WriteDiagnostic(out, diagnostic);
  const Error error = StartupError(std::string(out.view()), true);
  EXPECT_EQ(error.sqlstate(), "53300");
  EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
  EXPECT_TRUE(IsDead(error));
}

TEST(ConnectionStartup, AServerMayNotSkipTheProofOfItsKnowledge) {
  // SASL offered, then AuthenticationOk without SASLContinue and SASLFinal.
  pgwire::WireWriter out;
  const std::string_view mechanisms[] = {auth::kScramSha256};
  pgwire::WriteAuthenticationSasl(out, mechanisms);
  const auto greeting = Greeting();
  EXPECT_EQ(StartupError(std::string(out.view()) + std::string(greeting.view())).message(),
            "the server ended the SCRAM exchange too early");
  // Even without an AuthenticationOk.
  pgwire::WriteReadyForQuery(out, pgwire::TransactionStatus::kIdle);
  EXPECT_EQ(StartupError(std::string(out.view())).message(), "the server ended the SCRAM exchange too early");
}

TEST(ConnectionStartup, ScramMessagesOutOfTurnAreRefused) {
  pgwire::WireWriter out;
  pgwire::WriteAuthenticationSaslContinue(out, "r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  EXPECT_EQ(StartupError(std::string(out.view())).message(), "SCRAM message from the server out of turn");
  out.Clear();
  pgwire::WriteAuthenticationSaslFinal(out, "v=abc");
  EXPECT_EQ(StartupError(std::string(out.view())).message(), "SCRAM message from the server out of turn");
}

TEST(ConnectionStartup, ANewerProtocolThanAskedForIsRefused) {
  pgwire::WireWriter out;
  pgwire::WriteNegotiateProtocolVersion(out, pgwire::kProtocol32, {});
  EXPECT_EQ(StartupError(std::string(out.view())).message(),
            "the server negotiated a protocol version that wasn't asked for");
}

TEST(ConnectionWire, MessagesArriveWholeHoweverTheyAreCut) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    pgwire::WireWriter out;
    const std::optional<std::string_view> columns[] = {"value"};
    pgwire::WriteDataRow(out, columns);
    pgwire::WriteDataRow(out, columns);
    pgwire::WriteCommandComplete(out, "SELECT 2");
    pgwire::WriteReadyForQuery(out, pgwire::TransactionStatus::kIdle);
    connection.SendQuery("SELECT");
    std::string types;
    for (const char byte : out.view()) {
      co_await Send(server, {&byte, 1});
      while (true) {
        auto message = co_await connection.Next({reactor.clock().After(0s), nullptr});
        if (!message) {
          EXPECT_TRUE(IsInterrupted(message.error())) << message.error().ToString();
          break;
        }
        types.push_back(message->type);
      }
    }
    while (!connection.in_sync()) {
      auto message = co_await connection.Next({reactor.clock().After(kBound), nullptr});
      types.push_back(message ? message->type : '!');
      if (!message) break;
    }
    EXPECT_EQ(types, "DDCZ");
  });
}

TEST(ConnectionWire, AServerThatDiesInMidMessageBreaksTheConnection) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    connection.SendQuery("SELECT");
    connection.FlushNow();
    co_await Send(server, "D\0\0\0\x20\0\1"sv);
    server.Close();
    auto message = co_await connection.Next({reactor.clock().After(kBound), nullptr});
    EXPECT_FALSE(message);
    EXPECT_TRUE(IsConnectionError(message.error()));
    EXPECT_EQ(message.error().execution(), Execution::kMayHaveExecuted);
    EXPECT_TRUE(connection.broken());
  });
}

TEST(ConnectionWire, WhatWasNeverWrittenDidNotExecute) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    server.Close();
    connection.SendQuery("SELECT");
    auto message = co_await connection.Next({reactor.clock().After(kBound), nullptr});
    EXPECT_FALSE(message);
    EXPECT_TRUE(IsConnectionError(message.error()));
    EXPECT_EQ(message.error().execution(), Execution::kDidNotExecute);
    auto flushed = co_await connection.Flush({reactor.clock().After(kBound), nullptr});
    EXPECT_FALSE(flushed);
  });
}

TEST(ConnectionWire, TheLastWordIsReadEvenIfWritingFails) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    pgwire::WireWriter out;
    PgDiagnostic diagnostic;
    diagnostic.severity = "FATAL";
    diagnostic.code = "57P01";
    diagnostic.message = "terminating connection due to administrator command";
    pgwire::WriteDiagnostic(out, diagnostic);
    co_await Send(server, out.view());
    server.Close();
    connection.SendQuery("SELECT");
    auto message = co_await connection.Next({reactor.clock().After(kBound), nullptr});
    EXPECT_TRUE(message && message->type == pgwire::kErrorResponse);
    message = co_await connection.Next({reactor.clock().After(kBound), nullptr});
    EXPECT_FALSE(message);
    EXPECT_EQ(message.error().sqlstate(), "57P01");
    EXPECT_TRUE(message.error().diagnostic() != nullptr);
    EXPECT_EQ(message.error().execution(), Execution::kDidNotExecute);
  });
}

TEST(ConnectionWire, CheckIdleTakesWhatMayComeUnaskedAndNothingElse) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    pgwire::WireWriter out;
    pgwire::WriteParameterStatus(out, "TimeZone", "UTC");
    pgwire::WriteNotificationResponse(out, 1, "a", "b");
    const auto whole = out.size();
    pgwire::WriteParameterStatus(out, "DateStyle", "ISO");
    co_await Send(server, out.view().substr(0, whole + 9));
    EXPECT_TRUE(connection.CheckIdle());
    EXPECT_EQ(connection.parameters().at("TimeZone"), "UTC");
    co_await Send(server, out.view().substr(whole + 9));
    EXPECT_TRUE(connection.CheckIdle());
    EXPECT_EQ(connection.parameters().at("DateStyle"), "ISO");
    EXPECT_TRUE(connection.is_idle());

    out.Clear();
    pgwire::WriteCommandComplete(out, "SELECT 1");
    co_await Send(server, out.view());
    auto idle = connection.CheckIdle();
    EXPECT_FALSE(idle);
    EXPECT_EQ(idle.error().sqlstate(), "08P01");
    EXPECT_TRUE(connection.broken());
  });
}

// As a backend goes when another one has crashed.
TEST(ConnectionWire, CheckIdleSeesTheEndBehindALastNotice) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    pgwire::WireWriter out;
    pgwire::WriteDiagnostic(
        out,
        {.message_type = pgwire::kNoticeResponse, .severity = "WARNING", .code = "57P02", .message = "terminating"});
    co_await Send(server, out.view());
    server.Close();
    auto idle = connection.CheckIdle();
    EXPECT_FALSE(idle);
    if (!idle) EXPECT_EQ(idle.error().execution(), Execution::kDidNotExecute);
    EXPECT_TRUE(connection.broken());
  });
}

TEST(ConnectionWire, AMessageAboveTheLimitBreaksTheConnection) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    connection.SendQuery("SELECT");
    co_await Send(server, "T\xff\xff\xff\xff"sv);
    auto message = co_await connection.Next({reactor.clock().After(kBound), nullptr});
    EXPECT_FALSE(message);
    EXPECT_EQ(message.error().message(), "invalid message length");
    EXPECT_TRUE(connection.broken());
  });
}

TEST(ConnectionWire, ACancelWinsOverADeadlineAtTheSameTime) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    CancelToken token;
    token.Cancel(CancelReason::kCancelled);
    connection.SendQuery("SELECT");
    auto message = co_await connection.Next({reactor.clock().After(0s), &token});
    EXPECT_FALSE(message);
    EXPECT_EQ(message.error().code(), Code::kCanceled);
    EXPECT_FALSE(connection.broken());
    co_return;
  });
}

// The reactor's next turn: waits that begin now have begun then.
Awaitable<void> Turn() {
  co_await asio::post(co_await asio::this_coro::executor, kAwait);
}

Awaitable<void> CloseNext(Connection& connection) {
  co_await Turn();
  connection.Close();
}

TEST(ConnectionWire, CloseEndsAWaitInProgress) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    connection.SendQuery("SELECT");
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("close", CloseNext(connection));
    auto message = co_await connection.Next({reactor.clock().After(kBound), nullptr});
    EXPECT_FALSE(message);
    EXPECT_EQ(message.error().message(), "connection closed");
    co_await tasks.Join();
    // Terminate was said.
    std::byte said[64];
    auto outcome = server.TryRead(said);
    EXPECT_TRUE(outcome);
    EXPECT_EQ(static_cast<char>(said[outcome->bytes - 5]), pgwire::kTerminate);
  });
}

TEST(ConnectionWire, OneWriteCarriesAllThatWasQueuedInATurn) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    connection.SendParse("", "SELECT 1");
    connection.SendBind({});
    connection.SendExecute("");
    connection.SendSync();
    std::byte bytes[256];
    EXPECT_EQ(server.TryRead(bytes)->status, IoStatus::kWouldBlock);
    auto outcome = server.TryRead(bytes);
    while (outcome && outcome->status == IoStatus::kWouldBlock) {
      co_await server.WaitReadable();
      outcome = server.TryRead(bytes);
    }
    EXPECT_EQ(static_cast<char>(bytes[0]), pgwire::kParse);
    EXPECT_EQ(static_cast<char>(bytes[outcome->bytes - 5]), pgwire::kSync);
  });
}

Awaitable<void> ReadAll(ByteStream& stream, std::size_t expected, std::size_t& got) {
  std::vector<std::byte> buffer(65536);
  while (got < expected) {
    auto outcome = stream.TryRead(buffer);
    if (!outcome || outcome->status == IoStatus::kEof) co_return;
    got += outcome->bytes;
    if (outcome->status == IoStatus::kWouldBlock) co_await stream.WaitReadable();
  }
}

TEST(ConnectionWire, AWriterDoesNotNeedTheReaderToGetItsBytesOut) {
  OnOpen([](Reactor& reactor, Connection& connection, ByteStream& server) -> Awaitable<void> {
    // The reader waits first, with nothing to write; then another coroutine queues more than the pipe holds.
    constexpr std::size_t kBytes = 3000000;
    std::size_t got = 0;
    TaskGroup tasks(reactor.executor());
    tasks.Spawn("server", ReadAll(server, kBytes, got));
    tasks.Spawn("writer", [](Connection& connection) -> Awaitable<void> {
      co_await Turn();
      connection.SendRaw(std::string(kBytes, 'x'));
    }(connection));
    while (got < kBytes) {
      auto message = co_await connection.Next({reactor.clock().After(20ms), nullptr});
      EXPECT_FALSE(message);
      if (message || !IsInterrupted(message.error())) break;
    }
    EXPECT_EQ(got, kBytes);
    co_await tasks.Join();
  });
}

}  // namespace
}  // namespace multigres::pgclient
