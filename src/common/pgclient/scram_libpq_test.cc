// Our server side of the startup and of SCRAM against libpq.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <thread>

#include "common/auth/scram_server.h"
#include "common/pgwire/backend.h"
#include "common/pgwire/diagnostic.h"
#include "common/pgwire/framing.h"
#include "common/pgwire/frontend.h"
#include "common/pgwire/startup.h"
#include "tools/async/reactor.h"
#include "tools/net/socket.h"

namespace multigres::pgclient {
namespace {

// A server's connection, blocking in its manner.
class Peer {
 public:
  explicit Peer(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

  Awaitable<pgwire::StartupPacket> Startup() {
    while (true) {
      Drop();
      auto packet = pgwire::PeekStartupPacket(in_.view());
      if (packet && *packet) {
        consumed_ = (*packet)->size() + 4;
        co_return *pgwire::ReadStartupPacket(**packet);
      }
      co_await Fill();
    }
  }
  Awaitable<pgwire::Frame> Next() {
    while (true) {
      Drop();
      auto frame = pgwire::PeekFrame(in_.view());
      if (frame && *frame) {
        consumed_ = (*frame)->size();
        co_return **frame;
      }
      co_await Fill();
    }
  }
  Awaitable<void> Flush() {
    co_await WriteAll(*stream_, std::as_bytes(std::span(out.view())));
    out.Clear();
  }
  pgwire::WireWriter out;

 private:
  void Drop() { in_.Consume(std::exchange(consumed_, 0)); }
  Awaitable<void> Fill() {
    co_await stream_->WaitReadable();
    auto outcome = stream_->TryRead(std::as_writable_bytes(in_.Prepare(4096)));
    if (!outcome || outcome->status == IoStatus::kEof) std::abort();
    in_.Commit(outcome->bytes);
  }

  std::unique_ptr<ByteStream> stream_;
  pgwire::ByteBuffer in_;
  std::size_t consumed_ = 0;
};

Awaitable<void> ServeOne(Listener& listener, auth::ScramServerOptions options, auth::ScramKeys& keys) {
  Peer peer(*co_await listener.Accept());
  auto startup = co_await peer.Startup();
  while (startup.kind != pgwire::StartupKind::kStartup) {
    peer.out.Byte('N');
    co_await peer.Flush();
    startup = co_await peer.Startup();
  }
  EXPECT_EQ(startup.parameters[0], (pgwire::StartupParameter{"user", "alice"}));
  auth::ScramServer scram(options);
  pgwire::WriteAuthenticationSasl(peer.out, scram.Mechanisms());
  co_await peer.Flush();
  auto frame = co_await peer.Next();
  auto initial = pgwire::ReadSaslInitialResponse(frame.body);
  EXPECT_TRUE(initial);
  auto challenge = scram.Begin(initial->mechanism, initial->data);
  EXPECT_TRUE(challenge) << challenge.error().ToString();
  pgwire::WriteAuthenticationSaslContinue(peer.out, *challenge);
  co_await peer.Flush();
  frame = co_await peer.Next();
  auto outcome = scram.Finish(frame.body);
  if (!outcome) {
    pgwire::WriteDiagnostic(peer.out, pgwire::DiagnosticOf(outcome.error(), "FATAL"));
    co_await peer.Flush();
    co_return;
  }
  keys = scram.keys();
  pgwire::WriteAuthenticationSaslFinal(peer.out, *outcome);
  pgwire::WriteAuthenticationOk(peer.out);
  pgwire::WriteParameterStatus(peer.out, "server_version", "15.99");
  pgwire::WriteBackendKeyData(peer.out, 4711, "abcd");
  pgwire::WriteReadyForQuery(peer.out, pgwire::TransactionStatus::kIdle);
  co_await peer.Flush();
  frame = co_await peer.Next();
  EXPECT_EQ(pgwire::ReadQuery(frame.body).value(), "SELECT greeting");
  const pgwire::FieldDescription fields[] = {{"greeting", 0, 0, 25, -1, -1, 0}};
  const std::optional<std::string_view> columns[] = {"hello"};
  pgwire::WriteRowDescription(peer.out, fields);
  pgwire::WriteDataRow(peer.out, columns);
  pgwire::WriteCommandComplete(peer.out, "SELECT 1");
  pgwire::WriteReadyForQuery(peer.out, pgwire::TransactionStatus::kIdle);
  co_await peer.Flush();
  frame = co_await peer.Next();
  EXPECT_EQ(frame.type, pgwire::kTerminate);
}

struct LibpqOutcome {
  std::string error;
  std::string value;
  int backend_pid = 0;
};

LibpqOutcome AskByLibpq(std::uint16_t port, const std::string& password) {
  LibpqOutcome outcome;
  const std::string info = "host=127.0.0.1 port=" + std::to_string(port) +
                           " user=alice dbname=d connect_timeout=10 gssencmode=disable password='" + password + "'";
  PGconn* connection = PQconnectdb(info.c_str());
  if (PQstatus(connection) == CONNECTION_OK) {
    outcome.backend_pid = PQbackendPID(connection);
    PGresult* result = PQexec(connection, "SELECT greeting");
    if (PQresultStatus(result) == PGRES_TUPLES_OK) outcome.value = PQgetvalue(result, 0, 0);
    PQclear(result);
  }
  outcome.error = PQerrorMessage(connection);
  PQfinish(connection);
  return outcome;
}

struct Served {
  LibpqOutcome client;
  auth::ScramKeys keys;
};

Served Serve(auth::ScramServerOptions options, const std::string& password) {
  Served served;
  Reactor reactor;
  auto listener = Listener::Open(reactor, TcpAddress{"127.0.0.1", 0});
  EXPECT_TRUE(listener);
  std::thread client([&, port = (*listener)->port()] { served.client = AskByLibpq(port, password); });
  RunOnReactor(reactor, ServeOne(**listener, std::move(options), served.keys));
  client.join();
  return served;
}

auth::ScramServerOptions OptionsOfAlice() {
  auth::ScramServerOptions options;
  options.user = "alice";
  options.verifier = auth::MakeScramVerifier("wonderland");
  return options;
}

TEST(ScramWithLibpq, TheRightPasswordGetsInAndLeavesItsKeys) {
  const auto options = OptionsOfAlice();
  const Served served = Serve(options, "wonderland");
  EXPECT_EQ(served.client.error, "");
  EXPECT_EQ(served.client.value, "hello");
  EXPECT_EQ(served.client.backend_pid, 4711);
  EXPECT_EQ(served.keys, auth::DeriveScramKeys("wonderland", options.verifier.salt, options.verifier.iterations));
}

TEST(ScramWithLibpq, TheWrongPasswordIsRefusedInPostgresWords) {
  const Served served = Serve(OptionsOfAlice(), "looking glass");
  EXPECT_NE(served.client.error.find("FATAL:  password authentication failed for user \"alice\""), std::string::npos)
      << served.client.error;
}

TEST(ScramWithLibpq, AMockExchangeLooksLikeAWrongPassword) {
  auto options = OptionsOfAlice();
  options.verifier = auth::MakeMockVerifier("alice", "server secret");
  options.doomed = true;
  const Served served = Serve(options, "wonderland");
  EXPECT_NE(served.client.error.find("FATAL:  password authentication failed for user \"alice\""), std::string::npos)
      << served.client.error;
}

}  // namespace
}  // namespace multigres::pgclient
