// What PostgreSQL does inside that a promise of no loss has to reckon with (ha.md, sections 3, 8.3 and 15): each shown
// on a real server, beside what closes it.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "common/consensus/durability.h"
#include "services/multipooler/replication/promotion.h"
#include "services/multipooler/replication/sql_server.h"
#include "test/support/command.h"
#include "test/support/postgres.h"
#include "tools/async/task_group.h"

namespace multigres::pooler::replication {
namespace {

using test::PostgresServer;
using namespace std::chrono_literals;

constexpr const char* kList = R"(ANY 1 ("zone2_b"))";
constexpr const char* kOther = R"(ANY 1 ("zone3_c"))";

std::unique_ptr<PostgresServer> StartServer(const std::string& sync_standbys) {
  PostgresServer::Options options;
  options.settings = {{"synchronous_standby_names", sync_standbys},
                      {"wal_log_hints", "on"},
                      {"full_page_writes", "on"},
                      {"wal_retrieve_retry_interval", "100ms"}};
  auto server = PostgresServer::Start(std::move(options));
  EXPECT_TRUE(server) << (server ? "" : server.error().ToString());
  return server ? std::move(*server) : nullptr;
}

AdminOptions OptionsFor(const PostgresServer& server) {
  return {.address = UnixAddress{server.socket_path()}, .user = server.user(), .password = server.password()};
}

void MakeTable(PostgresServer& server) {
  auto made = server.Psql("SET synchronous_commit = local; CREATE TABLE t(i int)");
  EXPECT_TRUE(made) << (made ? "" : made.error().ToString());
}

// A server with a table t, and sessions on it.
struct World {
  PostgresServer& server;
  Reactor& reactor;
  AdminSessions& sessions;

  Deadline Soon() const { return reactor.clock().After(10s); }
};

template <class Body>
void OnServer(const std::string& sync_standbys, Body body) {
  auto server = StartServer(sync_standbys);
  ASSERT_TRUE(server);
  MakeTable(*server);
  Reactor reactor;
  AdminSessions sessions(reactor, OptionsFor(*server));
  World world{*server, reactor, sessions};
  RunOnReactor(reactor, body(world));
}

// A session whose warnings are kept.
struct Session {
  std::unique_ptr<pgclient::Connection> connection;
  std::shared_ptr<std::string> warning = std::make_shared<std::string>();

  static Awaitable<Session> Open(AdminSessions& sessions) {
    Session session;
    auto connection = co_await sessions.Take(sessions.clock().After(10s));
    EXPECT_TRUE(connection) << (connection ? "" : connection.error().ToString());
    session.connection = std::move(*connection);
    pgclient::AsyncHandlers handlers;
    handlers.on_notice = [warning = session.warning](PgDiagnostic&& notice) {
      if (notice.severity == "WARNING") *warning = notice.message;
    };
    session.connection->set_handlers(std::move(handlers));
    co_return session;
  }
};

Awaitable<Result<pgclient::QueryResult>> Execute(AdminSessions& sessions, Session& session, std::string sql) {
  pgclient::Bounds bounds;
  bounds.deadline = sessions.clock().After(20s);
  co_return co_await pgclient::QuerySimple(*session.connection, std::move(sql), bounds);
}

// Commits in the background, until somebody or something ends its wait.
struct WaitingCommit {
  explicit WaitingCommit(World& world) : sessions(world.sessions), tasks(world.reactor.executor()) {}

  // Returns once it waits for standbys (true), or has ended without (false).
  Awaitable<bool> Begin(std::string sql) {
    session = co_await Session::Open(sessions);
    tasks.Spawn("commit", Commit(std::move(sql)));
    while (tasks.size() != 0) {
      auto waiting = co_await sessions.Scalar("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                                              sessions.clock().After(10s));
      EXPECT_TRUE(waiting) << (waiting ? "" : waiting.error().ToString());
      if (!waiting || *waiting == "1") co_return waiting.has_value();
    }
    co_return false;
  }
  Awaitable<void> Cancel() {
    auto cancelled = co_await sessions.Scalar(
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        sessions.clock().After(10s));
    EXPECT_TRUE(cancelled && *cancelled == "1");
    co_await tasks.Join();
  }
  Awaitable<void> Commit(std::string sql) { result = co_await Execute(sessions, session, std::move(sql)); }

  AdminSessions& sessions;
  Session session;
  Result<pgclient::QueryResult> result = Fail(Code::kInternal, "not asked");
  TaskGroup tasks;
};

Awaitable<std::string> Rows(AdminSessions& sessions) {
  auto rows = co_await sessions.Scalar("SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t",
                                       sessions.clock().After(10s));
  EXPECT_TRUE(rows) << (rows ? "" : rows.error().ToString());
  co_return rows ? *rows : "?";
}

// The one that carries out a reload for everybody's commits.
class StoppedCheckpointer {
 public:
  explicit StoppedCheckpointer(PostgresServer& server) {
    auto pid = server.Psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
    EXPECT_TRUE(pid);
    pid_ = pid ? std::stoi(*pid) : 0;
    if (pid_ > 0) ::kill(pid_, SIGSTOP);
  }
  ~StoppedCheckpointer() {
    if (pid_ > 0) ::kill(pid_, SIGCONT);
  }

 private:
  pid_t pid_ = 0;
};

TEST(SyncReplication, IsNotArmedBeforeTheCheckpointerHasReloadedUnlessItWasBefore) {
  for (const bool fenced : {false, true}) {
    OnServer(fenced ? multigres::consensus::Fence().Text() : "", [fenced](World& world) -> Awaitable<void> {
      StoppedCheckpointer stalled(world.server);
      SqlServer sql(world.sessions, world.server.data_dir());
      std::vector<SettingChange> changes;
      changes.push_back({"synchronous_standby_names", kList});
      auto changed = co_await sql.ChangeSettings(std::move(changes), world.Soon());
      EXPECT_TRUE(changed) << (changed ? "" : changed.error().ToString());
      // Every session sees the list, and still the commit returns as if acknowledged; not so behind the fence.
      WaitingCommit commit(world);
      EXPECT_EQ(co_await commit.Begin("INSERT INTO t VALUES (1)"), fenced);
      if (fenced) co_await commit.Cancel();
      EXPECT_TRUE(commit.result);
    });
  }
}

TEST(SyncReplication, ACancelledWaitIsASuccessWithAWarningAndItsRowsAreVisible) {
  OnServer(kList, [](World& world) -> Awaitable<void> {
    WaitingCommit commit(world);
    EXPECT_TRUE(co_await commit.Begin("INSERT INTO t VALUES (1)"));
    EXPECT_EQ(co_await Rows(world.sessions), "");
    co_await commit.Cancel();
    EXPECT_TRUE(commit.result);
    EXPECT_EQ(*commit.session.warning, "canceling wait for synchronous replication due to user request");
    EXPECT_EQ(co_await Rows(world.sessions), "1");
  });
}

TEST(SyncReplication, ATerminatedWaitMakesTheRowsVisible) {
  OnServer(kList, [](World& world) -> Awaitable<void> {
    WaitingCommit commit(world);
    EXPECT_TRUE(co_await commit.Begin("INSERT INTO t VALUES (1)"));
    EXPECT_TRUE(co_await world.sessions.Scalar(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", world.Soon()));
    co_await commit.tasks.Join();
    // The client learns nothing certain: its outcome is unknown, never "not executed".
    EXPECT_TRUE(!commit.result && commit.result.error().execution() != Execution::kDidNotExecute)
        << (commit.result ? "committed" : commit.result.error().ToString());
    EXPECT_EQ(co_await Rows(world.sessions), "1");
  });
}

// Why no start is writable: the rows that nobody acknowledged would be served.
TEST(SyncReplication, ARestartMakesWaitingCommitsVisible) {
  OnServer(kList, [](World& world) -> Awaitable<void> {
    WaitingCommit commit(world);
    EXPECT_TRUE(co_await commit.Begin("INSERT INTO t VALUES (1)"));
    world.server.Kill();
    co_await commit.tasks.Join();
    EXPECT_FALSE(commit.result);
    world.sessions.DropIdle();
    auto started = world.server.StartAgain();
    EXPECT_TRUE(started) << (started ? "" : started.error().ToString());
    EXPECT_EQ(co_await Rows(world.sessions), "1");
  });
}

// Runs one of PostgreSQL's programs as PostgreSQL's user; its output.
std::string Program(const std::string& name, std::vector<std::string> arguments, const std::string& password = "") {
  auto folder = PostgresServer::MakeTempDir("program");
  EXPECT_TRUE(folder);
  test::Command command;
  command.argv = {PostgresServer::BinDir() + "/" + name};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.environment = {"PATH=/usr/bin:/bin", "PGPASSWORD=" + password, "LC_ALL=C"};
  command.output_path = *folder + "/output";
  if (::geteuid() == 0) command.user = {PostgresServer::RunAsUid(), PostgresServer::RunAsGid()};
  {
    const std::ofstream made(command.output_path);
  }
  if (::geteuid() == 0) {
    EXPECT_EQ(::chown(command.output_path.c_str(), PostgresServer::RunAsUid(), PostgresServer::RunAsGid()), 0);
  }
  auto ran = test::RunCommand(command);
  std::ifstream output(command.output_path);
  std::string text((std::istreambuf_iterator<char>(output)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(ran) << text;
  return text;
}

void Shell(const std::string& script) {
  test::Command command;
  command.argv = {"/bin/sh", "-ec", script};
  if (::geteuid() == 0) command.user = {PostgresServer::RunAsUid(), PostgresServer::RunAsGid()};
  auto ran = test::RunCommand(command);
  EXPECT_TRUE(ran) << script;
}

// A standby with the very data of `source`, which is stopped.
std::unique_ptr<PostgresServer> CopyAsStandby(const PostgresServer& source) {
  auto copy = StartServer("");
  if (!copy) return nullptr;
  copy->Stop();
  Shell("cd " + copy->data_dir() + " && cp postgresql.conf pg_hba.conf .. && find . -mindepth 1 -delete && cp -a " +
        source.data_dir() +
        "/. . && rm -f postmaster.* && mv ../postgresql.conf ../pg_hba.conf . && touch standby.signal");
  auto started = copy->StartAgain();
  EXPECT_TRUE(started) << (started ? "" : started.error().ToString());
  return copy;
}

// PostgreSQL's user for as long as it lives: what is made belongs to it from the start.
class AsPostgres {
 public:
  AsPostgres() {
    if (!root_) return;
    EXPECT_EQ(::setegid(PostgresServer::RunAsGid()), 0);
    EXPECT_EQ(::seteuid(PostgresServer::RunAsUid()), 0);
  }
  ~AsPostgres() {
    if (!root_) return;
    EXPECT_EQ(::seteuid(0), 0);
    EXPECT_EQ(::setegid(0), 0);
  }

 private:
  const bool root_ = ::geteuid() == 0;
};

// Term 0: as PostgreSQL does it by itself.
void PromoteIn(PostgresServer& server, std::int64_t term) {
  if (term > 0) {
    const AsPostgres as_postgres;
    auto reservation = TimelineReservation::Make(server.data_dir(), 1, term);
    EXPECT_TRUE(reservation) << (reservation ? "" : reservation.error().ToString());
    if (reservation) reservation->Keep();
  }
  auto promoted = server.Psql("SELECT pg_promote()");
  EXPECT_TRUE(promoted && *promoted == "t") << (promoted ? *promoted : promoted.error().ToString());
}

std::string Timeline(PostgresServer& server) {
  auto timeline = server.Psql("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)");
  return timeline ? *timeline : timeline.error().ToString();
}

// Two members promoted at one LSN, in terms 2 and 3: the loser's row must be found.
TEST(Promotion, TakesAnIdThatBelongsToItsTermOrTheLosersRowsWouldStay) {
  auto origin = StartServer("");
  ASSERT_TRUE(origin);
  MakeTable(*origin);
  origin->Stop();
  for (const bool reserved : {false, true}) {
    auto loser = CopyAsStandby(*origin);
    auto winner = CopyAsStandby(*origin);
    ASSERT_TRUE(loser && winner);
    PromoteIn(*loser, reserved ? 2 : 0);
    PromoteIn(*winner, reserved ? 3 : 0);
    EXPECT_EQ(Timeline(*loser), reserved ? "00000003" : "00000002");
    EXPECT_EQ(Timeline(*winner), reserved ? "00000004" : "00000002");
    EXPECT_TRUE(loser->Psql("INSERT INTO t VALUES (666)"));
    EXPECT_TRUE(winner->Psql("INSERT INTO t VALUES (1); CHECKPOINT"));
    loser->Stop();
    const std::string found = Program("pg_rewind", {"--dry-run", "--no-ensure-shutdown", "-D", loser->data_dir(),
                                                    "--source-server=" + winner->conninfo()});
    EXPECT_EQ(found.find("no rewind required") != std::string::npos, !reserved) << found;
    EXPECT_EQ(found.find("servers diverged at") != std::string::npos, reserved) << found;
  }
}

// A client's replication session.
class LogicalReceiver {
 public:
  LogicalReceiver(PostgresServer& server, const std::string& name) {
    auto slot = server.Psql("SELECT pg_create_logical_replication_slot('slot', 'test_decoding')");
    EXPECT_TRUE(slot) << (slot ? "" : slot.error().ToString());
    test::Command command;
    command.argv = {PostgresServer::BinDir() + "/pg_recvlogical",
                    "--dbname=" + server.conninfo() + " application_name=" + name,
                    "--slot=slot",
                    "--start",
                    "--file=/dev/null",
                    "--fsync-interval=1",
                    "--status-interval=1"};
    command.environment = {"PATH=/usr/bin:/bin"};
    command.parent_death_signal = SIGKILL;
    if (::geteuid() == 0) command.user = {PostgresServer::RunAsUid(), PostgresServer::RunAsGid()};
    auto started = test::StartCommand(command);
    EXPECT_TRUE(started);
    pid_ = started ? *started : 0;
  }
  ~LogicalReceiver() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
};

// It acknowledges commits that no member holds; whoever looks at the server's state ends it.
TEST(SyncReplication, AClientThatBorrowsAMembersNameAcknowledgesUntilItIsSeen) {
  OnServer(kOther, [](World& world) -> Awaitable<void> {
    LogicalReceiver receiver(world.server, "zone3_c");
    Session session = co_await Session::Open(world.sessions);
    auto inserted = co_await Execute(world.sessions, session, "INSERT INTO t VALUES (1)");
    EXPECT_TRUE(inserted) << (inserted ? "" : inserted.error().ToString());
    EXPECT_EQ(*session.warning, "");
    SqlServer sql(world.sessions, world.server.data_dir());
    auto state = co_await sql.ReadState(world.Soon());
    EXPECT_TRUE(state);
    if (state) EXPECT_EQ(state->impostors_ended, 1);
    if (state) EXPECT_TRUE(state->connected_followers.empty());
    // It comes back by itself, and is ended again; a commit in between finds nobody.
    for (int i = 0; i < 1000 && state && state->impostors_ended != 0; ++i) {
      state = co_await sql.ReadState(world.Soon());
    }
    WaitingCommit commit(world);
    EXPECT_TRUE(co_await commit.Begin("INSERT INTO t VALUES (2)"));
    co_await commit.Cancel();
  });
}

}  // namespace
}  // namespace multigres::pooler::replication
