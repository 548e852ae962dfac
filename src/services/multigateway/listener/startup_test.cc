#include "services/multigateway/listener/startup.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "common/pgwire/startup.h"
#include "tools/async/task_group.h"
#include "tools/net/socket.h"
#include "tools/result/check.h"

namespace multigres::gateway::listener {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

// What a client sends before any answer, and what comes of it.
struct Outcome {
  Result<StartupOutcome> result = Fail(Code::kUnknown, "not run");
  std::string answer;
};

Awaitable<void> Drive(Reactor& reactor, std::string sent, StartupOptions options, Outcome& outcome) {
  int fds[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
  auto peer = Listener::Adopt(reactor, fds[1]);
  {
    ClientConnection client(reactor, Listener::Adopt(reactor, fds[0]));
    co_await WriteAll(*peer, std::as_bytes(std::span(sent)));
    peer->ShutdownWrite();
    outcome.result = co_await NegotiateStartup(client, options, Deadline::Never());
    co_await client.Close();
  }
  std::array<std::byte, 4096> buffer;
  while (true) {
    auto read = peer->TryRead(buffer);
    if (!read || read->status != IoStatus::kDone) break;
    outcome.answer.append(reinterpret_cast<const char*>(buffer.data()), read->bytes);
  }
}

Outcome Negotiate(std::string sent, StartupOptions options = {}) {
  Reactor reactor;
  Outcome outcome;
  RunOnReactor(reactor, Drive(reactor, std::move(sent), std::move(options), outcome));
  return outcome;
}

std::string Startup(std::uint32_t version, std::vector<pgwire::StartupParameter> parameters) {
  pgwire::WireWriter out;
  pgwire::WriteStartupMessage(out, version, parameters);
  return std::string(out.view());
}

std::string SqlState(const Outcome& outcome) {
  return outcome.result ? "ok" : outcome.result.error().sqlstate();
}

TEST(Startup, TakesUserDatabaseAndSettings) {
  auto outcome = Negotiate(Startup(pgwire::kProtocol30, {{"user", "ann"}, {"application_name", "psql"}}));
  ASSERT_TRUE(outcome.result);
  const auto& request = std::get<StartupRequest>(*outcome.result);
  EXPECT_EQ(request.user, "ann");
  EXPECT_EQ(request.database, "ann");
  EXPECT_EQ(request.settings, (Settings{{"application_name", "psql"}}));
  EXPECT_EQ(request.protocol_version, pgwire::kProtocol30);
  EXPECT_EQ(outcome.answer, "");
}

TEST(Startup, ANewerMinorVersionOrUnknownOptionIsNegotiatedAndServed) {
  auto outcome = Negotiate(Startup(pgwire::ProtocolVersion(3, 9), {{"user", "ann"}, {"_pq_.fancy", "1"}}));
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(std::get<StartupRequest>(*outcome.result).protocol_version, pgwire::kProtocol32);
  EXPECT_TRUE(std::get<StartupRequest>(*outcome.result).settings.empty());
  ASSERT_FALSE(outcome.answer.empty());
  EXPECT_EQ(outcome.answer.front(), 'v');
  EXPECT_NE(outcome.answer.find("_pq_.fancy"), std::string::npos);
  auto plain = Negotiate(Startup(pgwire::kProtocol32, {{"user", "ann"}}));
  EXPECT_EQ(plain.answer, "");
  EXPECT_EQ(std::get<StartupRequest>(*plain.result).protocol_version, pgwire::kProtocol32);
  auto middle = Negotiate(Startup(pgwire::ProtocolVersion(3, 1), {{"user", "ann"}}));
  EXPECT_EQ(std::get<StartupRequest>(*middle.result).protocol_version, pgwire::kProtocol30);
}

TEST(Startup, RefusesWithPostgresStates) {
  EXPECT_EQ(SqlState(Negotiate(Startup(pgwire::ProtocolVersion(2, 0), {{"user", "ann"}}))), "0A000");
  EXPECT_EQ(SqlState(Negotiate(Startup(pgwire::kProtocol30, {{"database", "x"}}))), "28000");
  EXPECT_EQ(SqlState(Negotiate(Startup(pgwire::kProtocol30, {{"user", "ann"}, {"replication", "maybe"}}))), "22023");
  EXPECT_EQ(SqlState(Negotiate(Startup(pgwire::kProtocol30, {{"user", "ann"}, {"options", "-x 1"}}))), "42601");
  EXPECT_EQ(SqlState(Negotiate(Startup(pgwire::kProtocol30, {{"user", "ann"}}), {.require_tls = true})), "28000");
  EXPECT_EQ(SqlState(Negotiate(std::string("\0\0\0\4", 4))), "08P01");
  EXPECT_EQ(SqlState(Negotiate(std::string("\x7f\xff\xff\xff....", 8))), "08P01");
}

TEST(Startup, AnswersEncryptionRequestsInEitherOrderButEachOnce) {
  pgwire::WireWriter ssl;
  pgwire::WriteSslRequest(ssl);
  pgwire::WireWriter gss;
  pgwire::WriteGssencRequest(gss);
  const std::string startup = Startup(pgwire::kProtocol30, {{"user", "ann"}});
  auto both = Negotiate(std::string(ssl.view()) + std::string(gss.view()) + startup);
  EXPECT_EQ(both.answer, "NN");
  EXPECT_EQ(SqlState(both), "ok");
  auto twice = Negotiate(std::string(ssl.view()) + std::string(ssl.view()) + startup);
  EXPECT_EQ(SqlState(twice), "0A000");
}

TEST(Startup, ACancelRequestNeedsNoEncryption) {
  pgwire::WireWriter cancel;
  pgwire::WriteCancelRequest(cancel, 77, std::string(32, 'k'));
  auto outcome = Negotiate(std::string(cancel.view()), {.require_tls = true});
  ASSERT_TRUE(outcome.result);
  const auto& request = std::get<CancelRequest>(*outcome.result);
  EXPECT_EQ(request.process_id, 77u);
  EXPECT_EQ(request.secret_key, std::string(32, 'k'));
}

TEST(Startup, AClientThatVanishesAtAnyByteIsNoError) {
  const std::string whole = Startup(pgwire::kProtocol30, {{"user", "ann"}});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    auto outcome = Negotiate(whole.substr(0, length));
    ASSERT_TRUE(outcome.result) << length;
    EXPECT_TRUE(std::holds_alternative<NoSession>(*outcome.result)) << length;
  }
}

TEST(Startup, OptionsAreSplitAsPostgresDoes) {
  EXPECT_EQ(*ParseOptions(R"(-c work_mem=1MB --search-path=a\ b\\c  -cgeqo=off -c replication=on)"),
            (Settings{{"work_mem", "1MB"}, {"search_path", "a b\\c"}, {"geqo", "off"}}));
  EXPECT_EQ(*ParseOptions("  "), Settings{});
  EXPECT_FALSE(ParseOptions("-c"));
  EXPECT_FALSE(ParseOptions("-c work_mem"));
  EXPECT_FALSE(ParseOptions("--"));
}

}  // namespace
}  // namespace multigres::gateway::listener
