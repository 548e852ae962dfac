#include "services/pgctld/postgres_controller.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "services/pgctld/psql.h"
#include "services/pgctld/server_config.h"
#include "tools/fs/file.h"
#include "tools/process/find_program.h"

namespace multigres::pgctld {
namespace {

using namespace std::chrono_literals;

constexpr uid_t kNobody = 65534;

// PostgreSQL refuses root, and so does pgctld.
class Unprivileged final : public testing::Environment {
  void SetUp() override {
    if (::geteuid() != 0) return;
    ASSERT_EQ(::setgroups(0, nullptr), 0);
    ASSERT_EQ(::setgid(kNobody), 0);
    ASSERT_EQ(::setuid(kNobody), 0);
  }
};
[[maybe_unused]] const auto* const kUnprivileged = testing::AddGlobalTestEnvironment(new Unprivileged);

// A controller over a folder of its own; stops its server at the end.
struct Server {
  explicit Server(Reactor& reactor, std::uint16_t port = 5432)
      : reactor(reactor),
        folder(*fs::TempDir::Create("pgctld")),
        options(Options(folder.path(), port)),
        controller(reactor, options, Logger()) {}

  static PostgresOptions Options(const std::string& folder, std::uint16_t port) {
    PostgresOptions options;
    options.pooler_dir = folder;
    options.data_dir = folder + "/pg_data";
    options.bin_dir = *FindPostgresBinDir();
    options.port = port;
    options.password = "it's:a\\secret";
    options.listen_addresses = "";
    options.initdb_args = {"--no-sync", "--wal-segsize=1"};
    return options;
  }

  Awaitable<Result<std::string>> Sql(std::string sql, std::string database = "postgres") {
    PsqlCall call;
    call.socket_dir = options.socket_dir();
    call.port = options.port;
    call.database = std::move(database);
    call.arguments = {"--command", std::move(sql)};
    call.settings = {"synchronous_commit=local"};
    co_return co_await RunPsql(reactor, options, std::move(call), reactor.clock().After(20s));
  }

  Awaitable<void> TearDown() {
    auto stopped = co_await controller.Stop(StopMode::kImmediate, 10s);
    EXPECT_TRUE(stopped || !DataDirectory(options.data_dir).IsInitialized());
    co_return;
  }

  Reactor& reactor;
  fs::TempDir folder;
  PostgresOptions options;
  PostgresController controller;
};

template <class T>
bool Ok(const Result<T>& result) {
  EXPECT_TRUE(result) << (result ? "" : result.error().ToString());
  return result.has_value();
}

void RunTest(Awaitable<void> (*body)(Reactor&)) {
  Reactor reactor;
  RunOnReactor(reactor, body(reactor));
}

Awaitable<bool> Initialize(Server& server) {
  auto prepared = co_await server.controller.Prepare();
  if (!Ok(prepared)) co_return false;
  auto made = co_await server.controller.InitDataDir({});
  co_return Ok(made);
}

TEST(PostgresController, InitialisesStartsAsStandbyAndStops) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server server(reactor);
    auto before = co_await server.controller.Start({});
    EXPECT_FALSE(before);
    if (!before) EXPECT_NE(before.error().message().find("Run 'pgctld init' first"), std::string::npos);
    if (!co_await Initialize(server)) co_return;
    auto stopped = co_await server.controller.Status();
    EXPECT_EQ(stopped->state, ServerState::kStopped);
    EXPECT_EQ(stopped->version.substr(0, 1), "1");

    auto started = co_await server.controller.Start({});
    if (!Ok(started)) co_return;
    auto status = co_await server.controller.Status();
    EXPECT_EQ(status->state, ServerState::kRunning);
    EXPECT_TRUE(status->ready);
    EXPECT_EQ(status->pid, started->pid);
    auto recovering = co_await server.Sql(
        "SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names'), "
        "current_setting('data_checksums'), current_setting('wal_level')");
    if (Ok(recovering)) EXPECT_EQ(*recovering, "t|ANY 1 (\"multigres-fence\")|on|logical");

    auto again = co_await server.controller.Start({});
    if (Ok(again)) EXPECT_NE(again->message.find("already"), std::string::npos);
    auto version = co_await server.controller.Version("", 0, "");
    if (Ok(version)) EXPECT_TRUE(version->starts_with("PostgreSQL 1"));
    Ok(co_await server.controller.ReloadConfig());
    Ok(co_await server.controller.Stop(StopMode::kFast, 0s));
    auto nothing = co_await server.controller.Stop(StopMode::kFast, 0s);
    if (Ok(nothing)) EXPECT_EQ(*nothing, "PostgreSQL is not running");
    EXPECT_TRUE(DataDirectory(server.options.data_dir).HasStandbySignal());
  });
}

TEST(PostgresController, RunsInitSqlAndSecretsAndRefusesALoginRoleWithoutPassword) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server server(reactor);
    PostgresOptions options = server.options;
    const std::string sql_dir = options.pooler_dir + "/sql";
    EXPECT_TRUE(fs::MakeDirectories(sql_dir));
    EXPECT_TRUE(fs::WriteFileAtomic(sql_dir + "/1.sql",
                                    "CREATE TABLE made_by(r text); INSERT INTO made_by SELECT current_user;"));
    EXPECT_TRUE(fs::WriteFileAtomic(options.pooler_dir + "/roles.sql", "CREATE ROLE app LOGIN;"));
    options.database = "my\"db";
    options.initdb_sql_files = {options.pooler_dir + "/roles.sql"};
    options.initdb_sql_dirs = {{"postgres", sql_dir}};
    {
      PostgresController controller(reactor, options, Logger());
      Ok(co_await controller.Prepare());
      auto refused = co_await controller.InitDataDir({});
      EXPECT_FALSE(refused);
      if (!refused) EXPECT_NE(refused.error().message().find("have no password: app"), std::string::npos);
      EXPECT_FALSE(fs::Exists(options.data_dir));
      EXPECT_FALSE(fs::Exists(options.data_dir + ".init"));
    }
    EXPECT_TRUE(fs::WriteFileAtomic(options.pooler_dir + "/secrets.sql", "ALTER ROLE app PASSWORD 'hush-hush';"));
    options.secrets_file = options.pooler_dir + "/secrets.sql";
    PostgresController controller(reactor, options, Logger());
    if (!Ok(co_await controller.InitDataDir({}))) co_return;
    Ok(co_await controller.Start({}));
    auto made = co_await server.Sql("SELECT r FROM made_by", "my\"db");
    if (Ok(made)) EXPECT_EQ(*made, "postgres");
    auto log = fs::ReadFile(options.log_file());
    EXPECT_EQ(log->find("hush-hush"), std::string::npos);
    co_await server.TearDown();
  });
}

TEST(PostgresController, AdoptsARunningServer) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server server(reactor);
    if (!co_await Initialize(server)) co_return;
    {
      PostgresController first(reactor, server.options, Logger());
      if (!Ok(co_await first.Start({}))) co_return;
    }
    auto status = co_await server.controller.Status();
    EXPECT_TRUE(status->ready);
    Ok(co_await server.controller.Stop(StopMode::kFast, 0s));
  });
}

TEST(PostgresController, AFrozenServerIsAliveButNotReadyAndCanBeStopped) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server server(reactor);
    if (!co_await Initialize(server)) co_return;
    auto started = co_await server.controller.Start({});
    if (!Ok(started)) co_return;
    EXPECT_EQ(::kill(started->pid, SIGSTOP), 0);
    auto status = co_await server.controller.Status();
    EXPECT_EQ(status->state, ServerState::kRunning);
    EXPECT_EQ(status->pid, started->pid);
    EXPECT_FALSE(status->ready);
    auto fast = co_await server.controller.Stop(StopMode::kFast, 200ms);
    EXPECT_FALSE(fast);
    if (!fast) EXPECT_EQ(fast.error().code(), Code::kDeadlineExceeded);
    Ok(co_await server.controller.Stop(StopMode::kImmediate, 300ms));
    status = co_await server.controller.Status();
    EXPECT_EQ(status->state, ServerState::kStopped);
  });
}

TEST(PostgresController, StartsOverWhatADeadPostmasterLeft) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server server(reactor);
    if (!co_await Initialize(server)) co_return;
    auto started = co_await server.controller.Start({});
    if (!Ok(started)) co_return;
    // A child that doesn't notice its parent's death, and a pid file that names a stranger.
    const auto children = ChildrenOf(started->pid);
    EXPECT_FALSE(children.empty());
    EXPECT_EQ(::kill(children.front(), SIGSTOP), 0);
    EXPECT_EQ(::kill(started->pid, SIGKILL), 0);
    const DataDirectory directory(server.options.data_dir);
    const Deadline deadline = reactor.clock().After(10s);
    while (directory.FindPostmaster() && !deadline.Passed(reactor.clock().Now())) {
      co_await SleepFor(reactor.clock(), 5ms);
    }
    auto stranger = Process::Spawn(reactor, {.argv = {"sleep", "1000"}});
    EXPECT_TRUE(fs::WriteFileAtomic(server.options.data_dir + "/postmaster.pid",
                                    std::to_string(stranger->pid()) + "\n" + server.options.data_dir + "\n", 0600));
    auto again = co_await server.controller.Start({});
    if (Ok(again)) EXPECT_NE(again->pid, started->pid);
    auto status = co_await server.controller.Status();
    EXPECT_TRUE(status->ready);
    co_await server.TearDown();
  });
}

TEST(PostgresController, ABrokenConfigurationIsReportedWithTheServersWords) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server server(reactor);
    if (!co_await Initialize(server)) co_return;
    EXPECT_TRUE(
        fs::WriteFileAtomic(server.options.data_dir + "/postgresql.auto.conf", "max_connections = 'many'\n", 0600));
    auto started = co_await server.controller.Start({});
    EXPECT_FALSE(started);
    if (!started) EXPECT_NE(started.error().message().find("max_connections"), std::string::npos);
    EXPECT_EQ(::chmod(server.options.data_dir.c_str(), 0755), 0);
    auto open = co_await server.controller.Start({});
    if (!open) EXPECT_NE(open.error().message().find("chmod it to 0700"), std::string::npos);
  });
}

// A leader with one row more than its copy; the copy promoted; the former leader brought back.
TEST(PostgresController, RewindsADivergedServerAfterACrash) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server old_leader(reactor, 5432);
    Server new_leader(reactor, 5433);
    if (!co_await Initialize(old_leader)) co_return;
    Ok(co_await new_leader.controller.Prepare());
    StartRequest as_primary;
    as_primary.as_primary = true;
    auto started = co_await old_leader.controller.Start(as_primary);
    if (!Ok(started)) co_return;
    Ok(co_await old_leader.Sql("CREATE TABLE t(i int); INSERT INTO t VALUES (1)"));
    SpawnOptions copy;
    copy.argv = {old_leader.options.Program("pg_basebackup"),
                 "-h",
                 old_leader.options.socket_dir(),
                 "-p",
                 "5432",
                 "-U",
                 "postgres",
                 "-w",
                 "-X",
                 "stream",
                 "-c",
                 "fast",
                 "-N",
                 "-D",
                 new_leader.options.data_dir};
    copy.environment = {"PGPASSFILE=" + old_leader.options.passfile()};
    auto copied = co_await RunProcess(reactor, std::move(copy), reactor.clock().After(20s));
    if (!Ok(copied)) co_return;
    EXPECT_TRUE(copied->status.Succeeded()) << copied->error;
    Ok(co_await old_leader.Sql("INSERT INTO t VALUES (2)"));
    EXPECT_EQ(::kill(started->pid, SIGQUIT), 0);  // no shutdown checkpoint
    Ok(co_await old_leader.controller.Stop(StopMode::kImmediate, 5s));

    if (!Ok(co_await new_leader.controller.Start({}))) co_return;
    Ok(co_await new_leader.Sql("SELECT pg_promote(); CHECKPOINT"));
    RewindRequest rewind;
    rewind.source_host = new_leader.options.socket_dir();
    rewind.source_port = 5433;
    rewind.application_name = "zone1_old";
    rewind.dry_run = true;
    auto dry = co_await old_leader.controller.Rewind(rewind);
    if (Ok(dry)) EXPECT_NE(dry->find("servers diverged at WAL location"), std::string::npos) << *dry;
    rewind.dry_run = false;
    rewind.extra_args = {"--write-recovery-conf"};
    Ok(co_await old_leader.controller.Rewind(rewind));
    auto auto_conf = fs::ReadFile(old_leader.options.data_dir + "/postgresql.auto.conf");
    EXPECT_EQ(auto_conf->find("secret"), std::string::npos);
    if (!Ok(co_await old_leader.controller.Start({}))) co_return;
    auto rows = co_await old_leader.Sql("SELECT string_agg(i::text, ',') FROM t");
    if (Ok(rows)) EXPECT_EQ(*rows, "1");
    co_await old_leader.TearDown();
    co_await new_leader.TearDown();
  });
}

// A follower that crashes, is asked for a rewind that it doesn't need, and goes on following.
TEST(PostgresController, ARewindAddsNothingToTheWalOfACrashedStandby) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server leader(reactor, 5432);
    Server follower(reactor, 5433);
    if (!co_await Initialize(leader)) co_return;
    Ok(co_await follower.controller.Prepare());
    StartRequest as_primary;
    as_primary.as_primary = true;
    if (!Ok(co_await leader.controller.Start(as_primary))) co_return;
    Ok(co_await leader.Sql("CREATE TABLE t(i int); INSERT INTO t VALUES (1)"));
    SpawnOptions copy;
    copy.argv = {leader.options.Program("pg_basebackup"),
                 "-w",
                 "-X",
                 "stream",
                 "-c",
                 "fast",
                 "-N",
                 "-R",
                 "-D",
                 follower.options.data_dir,
                 "-d",
                 fmt::format("host={} port=5432 user=postgres passfile={}", leader.options.socket_dir(),
                             leader.options.passfile())};
    auto copied = co_await RunProcess(reactor, std::move(copy), reactor.clock().After(20s));
    if (!Ok(copied)) co_return;
    EXPECT_TRUE(copied->status.Succeeded()) << copied->error;
    const auto holds = [&](std::string rows) -> Awaitable<bool> {
      const Deadline deadline = reactor.clock().After(20s);
      while (!deadline.Passed(reactor.clock().Now())) {
        auto seen = co_await follower.Sql("SELECT string_agg(i::text, ',' ORDER BY i) FROM t");
        if (seen && *seen == rows) co_return true;
        co_await SleepFor(reactor.clock(), 20ms);
      }
      co_return false;
    };
    auto started = co_await follower.controller.Start({});
    if (!Ok(started)) co_return;
    Ok(co_await leader.Sql("INSERT INTO t VALUES (2)"));
    EXPECT_TRUE(co_await holds("1,2"));
    EXPECT_EQ(::kill(started->pid, SIGQUIT), 0);
    Ok(co_await follower.controller.Stop(StopMode::kImmediate, 5s));
    Ok(co_await leader.Sql("INSERT INTO t VALUES (3)"));
    RewindRequest rewind;
    rewind.source_host = leader.options.socket_dir();
    rewind.source_port = 5432;
    rewind.dry_run = true;
    Ok(co_await follower.controller.Rewind(rewind));
    auto state = co_await ReadClusterState(reactor, follower.options, reactor.clock().After(5s));
    if (Ok(state)) EXPECT_EQ(*state, "shut down in recovery");
    if (!Ok(co_await follower.controller.Start({}))) co_return;
    EXPECT_TRUE(co_await holds("1,2,3"));
    co_await follower.TearDown();
    co_await leader.TearDown();
  });
}

TEST(PostgresController, EndsARestoreCommandByItsPidFile) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Server server(reactor);
    Ok(co_await server.controller.Prepare());
    auto none = co_await server.controller.StopRestoreCommand();
    if (Ok(none)) EXPECT_FALSE(none->found);
    auto child = Process::Spawn(reactor, {.argv = {"sleep", "1000"}});
    EXPECT_TRUE(fs::WriteFileAtomic(server.options.restore_command_pidfile(), std::to_string(child->pid()) + "\n"));
    auto ended = co_await server.controller.StopRestoreCommand();
    if (Ok(ended)) EXPECT_TRUE(ended->killed);
    EXPECT_TRUE(co_await child->Wait(reactor.clock().After(5s)));
  });
}

}  // namespace
}  // namespace multigres::pgctld
