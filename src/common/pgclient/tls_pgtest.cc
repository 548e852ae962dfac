#include "tools/net/tls.h"

#include <gtest/gtest.h>

#include "common/pgclient/pgclient_pgtest.h"
#include "test/support/command.h"

namespace multigres::pgclient {
namespace {

using test::PostgresServer;

// A server with a certificate of its own for "localhost", which is its authority too.
struct TlsServer {
  std::unique_ptr<PostgresServer> server;
  std::string certificate;
};

TlsServer& Shared() {
  static TlsServer* shared = [] {
    auto* made = new TlsServer;
    const std::string folder = *PostgresServer::MakeTempDir("tls");
    made->certificate = folder + "/server.crt";
    const std::string key = folder + "/server.key";
    test::Command command;
    command.argv = {"/usr/bin/openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=localhost",
                    "-addext",
                    "subjectAltName=DNS:localhost",
                    "-keyout",
                    key,
                    "-out",
                    made->certificate};
    if (::geteuid() == 0) command.user = {PostgresServer::RunAsUid(), PostgresServer::RunAsGid()};
    auto ran = test::RunCommand(command);
    EXPECT_TRUE(ran) << ran.error().ToString();
    PostgresServer::Options options;
    options.settings = {{"ssl", "on"}, {"ssl_cert_file", made->certificate}, {"ssl_key_file", key}};
    options.hba = {"hostssl all tls_only 127.0.0.1/32 scram-sha-256", "host all tls_only 127.0.0.1/32 reject"};
    auto started = PostgresServer::Start(options);
    if (!started) {
      std::fprintf(stderr, "%s\n", started.error().message().c_str());
      std::abort();
    }
    made->server = std::move(*started);
    EXPECT_TRUE(made->server->Psql("CREATE ROLE tls_only LOGIN PASSWORD 'postgres'"));
    return made;
  }();
  return *shared;
}

ConnectOptions TlsOptions(TlsSettings::Mode mode, TlsClientOptions client) {
  auto& shared = Shared();
  auto options = OptionsFor(*shared.server);
  options.address = TcpAddress{"127.0.0.1", shared.server->port()};
  options.user = "tls_only";
  options.database = "postgres";
  options.tls.mode = mode;
  options.tls.context = *TlsContext::Client(std::move(client));
  options.tls.server_name = "localhost";
  return options;
}

TlsClientOptions Verifying() {
  TlsClientOptions client;
  client.files.ca = Shared().certificate;
  return client;
}

TEST(TlsConnection, IsBoundToTheServersCertificateAndBehavesAsAPlainOne) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto connection = co_await MustOpen(reactor, TlsOptions(TlsSettings::Mode::kRequire, Verifying()));
    EXPECT_TRUE(connection->stream().IsEncrypted());
    // With this at hand the client takes SCRAM-SHA-256-PLUS, which such a server always offers.
    EXPECT_EQ(CertificateEndPoint(connection->stream().PeerCertificate()).size(), 32u);
    auto encrypted =
        co_await QuerySimple(*connection, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", Within(reactor));
    EXPECT_EQ(encrypted->Scalar(), "t");
    // A wait that runs out leaves the encrypted stream usable as well.
    connection->SendQuery("SELECT pg_sleep(0.1), repeat('x', 3000000)");
    auto early = co_await connection->NextBlock(Within(reactor, std::chrono::milliseconds(10)));
    EXPECT_FALSE(early);
    EXPECT_TRUE(IsInterrupted(early.error()));
    std::size_t bytes = 0;
    while (!connection->in_sync()) {
      auto block = co_await connection->NextBlock(Within(reactor));
      if (!block) {
        ADD_FAILURE() << block.error().ToString();
        co_return;
      }
      if (block->type == 'D') bytes += block->bytes.size();
    }
    EXPECT_GT(bytes, 3000000u);
    EXPECT_TRUE(connection->CheckIdle());
    auto cancelled = co_await CancelQuery(reactor, connection->cancel_target(), Within(reactor).deadline);
    EXPECT_TRUE(cancelled);
  });
}

TEST(TlsConnection, PlainTextIsRefusedToTheRoleThatNeedsTls) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto refused =
        co_await Connection::Open(reactor, TlsOptions(TlsSettings::Mode::kDisable, Verifying()), Within(reactor));
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().sqlstate(), "28000");
  });
}

TEST(TlsConnection, AnUnknownCertificateIsRefusedUnlessNothingIsVerified) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto refused = co_await Connection::Open(reactor, TlsOptions(TlsSettings::Mode::kRequire, {}), Within(reactor));
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kUnavailable);
    EXPECT_EQ(refused.error().execution(), Execution::kDidNotExecute);
    TlsClientOptions trusting;
    trusting.verify_server = false;
    auto connection = co_await MustOpen(reactor, TlsOptions(TlsSettings::Mode::kRequire, trusting));
    EXPECT_TRUE(connection->stream().IsEncrypted());
  });
}

TEST(TlsConnection, WithoutTlsOnTheServerPreferGoesOnAndRequireDoesNot) {
  OnReactor([](Reactor& reactor) -> Awaitable<void> {
    auto& plain = PostgresServer::Shared();
    auto options = OptionsFor(plain);
    options.address = TcpAddress{"127.0.0.1", plain.port()};
    options.tls = TlsOptions(TlsSettings::Mode::kPrefer, Verifying()).tls;
    auto connection = co_await MustOpen(reactor, options);
    EXPECT_FALSE(connection->stream().IsEncrypted());
    options.tls.mode = TlsSettings::Mode::kRequire;
    auto refused = co_await Connection::Open(reactor, options, Within(reactor));
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().message(), "the server does not support TLS, but it is required");
    // Unix sockets stay as they are.
    options.address = UnixAddress{plain.socket_path()};
    connection = co_await MustOpen(reactor, options);
    EXPECT_FALSE(connection->stream().IsEncrypted());
  });
}

}  // namespace
}  // namespace multigres::pgclient
