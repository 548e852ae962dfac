// Three members of a shard over real PostgreSQLs, in one process: for tests.
#pragma once

#include <grp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/consensus/proposal.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/memorytopo/memory_topo.h"
#include "services/multipooler/manager/local_postgres.h"
#include "services/multipooler/manager/manager.h"
#include "services/pgctld/postgres_controller.h"
#include "tools/fs/file.h"
#include "tools/process/find_program.h"
#include "tools/random/random.h"

namespace multigres::pooler::manager::testing {

namespace pb = ::clustermetadata;
using namespace std::chrono_literals;

inline constexpr uid_t kNobody = 65534;

// PostgreSQL refuses root.
class Unprivileged final : public ::testing::Environment {
  void SetUp() override {
    if (::geteuid() != 0) return;
    ASSERT_EQ(::setgroups(0, nullptr), 0);
    ASSERT_EQ(::setgid(kNobody), 0);
    ASSERT_EQ(::setuid(kNobody), 0);
  }
};

inline std::uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

inline Logger TestLogger(std::string_view member) {
  LogOptions options;
  options.format = LogFormat::kText;
  options.level = std::getenv("TEST_LOG") != nullptr ? LogLevel::kDebug : LogLevel::kError;
  options.output = "stderr";
  return Logger::Create(std::move(options)).With({{"member", member}});
}

// pgctld without the daemon.
class LocalProcess final : public replication::PostgresProcess {
 public:
  explicit LocalProcess(pgctld::PostgresController& controller) : controller_(controller) {}

  Awaitable<Result<replication::ProcessStatus>> Status(Deadline) override {
    ++looks;
    if (TakeOne(unheard)) co_return Fail(Code::kUnavailable, "pgctld isn't up yet");
    auto status = co_await controller_.Status();
    if (!status) co_return std::unexpected(std::move(status.error()));
    co_return replication::ProcessStatus{.initialized = status->state != pgctld::ServerState::kNotInitialized,
                                         .process_alive = status->pid != 0,
                                         .ready = status->ready,
                                         .stopping = status->state == pgctld::ServerState::kStopping};
  }
  Awaitable<Result<>> StartAsStandby(bool suspected_divergence) override {
    ++starts;
    if (TakeOne(failing_starts)) co_return Fail(Code::kInternal, "not this time");
    pgctld::StartRequest request;
    request.suspected_divergence = request.allow_crash_recovery = suspected_divergence;
    auto started = co_await controller_.Start(std::move(request));
    if (!started) co_return std::unexpected(std::move(started.error()));
    co_return Result<>();
  }
  Awaitable<Result<>> StartAsPrimary() override {
    ++starts_as_primary;
    pgctld::StartRequest request;
    request.as_primary = true;
    auto started = co_await controller_.Start(std::move(request));
    if (!started) co_return std::unexpected(std::move(started.error()));
    co_return Result<>();
  }
  Awaitable<Result<>> Stop(Duration fast_timeout) override {
    auto stopped = co_await controller_.Stop(pgctld::StopMode::kFast, fast_timeout);
    if (!stopped && stopped.error().code() == Code::kDeadlineExceeded) {
      stopped = co_await controller_.Stop(pgctld::StopMode::kImmediate, 5s);
    }
    if (!stopped) co_return std::unexpected(std::move(stopped.error()));
    co_return Result<>();
  }
  Awaitable<Result<>> InitDataDir() override {
    ++inits;
    auto done = co_await controller_.InitDataDir({});
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return Result<>();
  }
  Awaitable<Result<std::string>> Rewind(RewindSource source, bool dry_run) override {
    pgctld::RewindRequest request;
    request.source_host = std::move(source.host);
    request.source_port = source.port;
    request.application_name = std::move(source.application_name);
    request.dry_run = dry_run;
    if (!dry_run) ++rewinds;
    co_return co_await controller_.Rewind(std::move(request));
  }
  Awaitable<Result<>> StopRestoreCommand() override { co_return Result<>(); }

  // So many of the next questions find nobody, of the next starts fail.
  int unheard = 0;
  int failing_starts = 0;

  int looks = 0;
  int starts = 0;
  int inits = 0;
  int starts_as_primary = 0;
  int rewinds = 0;

 private:
  static bool TakeOne(int& left) {
    if (left == 0) return false;
    --left;
    return true;
  }

  pgctld::PostgresController& controller_;
};

class Members;

class LocalPeers final : public Peers {
 public:
  LocalPeers(Members& members, std::size_t self) : members_(members), self_(self) {}
  Awaitable<Result<std::vector<Peer>>> Survey(Deadline deadline) override;
  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> StatusOf(pb::ID id, Deadline deadline) override;

 private:
  Members& members_;
  std::size_t self_;
};

struct Member {
  std::size_t index = 0;
  ManagerConfig config;
  pgctld::PostgresOptions postgres;
  std::unique_ptr<pgctld::PostgresController> controller;
  std::unique_ptr<LocalProcess> process;
  std::unique_ptr<LocalPeers> peers;
  NoDataPath data_path;
  std::unique_ptr<LocalPostgres> postgres_seams;
  std::unique_ptr<PostmasterWatch> postmaster;
  std::unique_ptr<PoolerManager> manager;  // null while the pooler is down
  std::unique_ptr<replication::AdminSessions> sql;

  pb::PoolerAddress address() const {
    pb::PoolerAddress address;
    *address.mutable_id() = config.id;
    address.set_host(config.hostname);
    address.set_postgres_port(config.pg_port);
    return address;
  }
};

class Members {
 public:
  Members(Reactor& reactor, std::size_t count)
      : reactor(reactor), folder(*fs::TempDir::Create("members")), topology(reactor.clock()) {
    topo::StoreOptions options;
    options.global_addresses = {"memory"};
    options.global_root = "/multigres/global";
    store = std::move(
        *topo::Store::Create(reactor, topology.NewBackend(), *random, TestLogger("topo"), std::move(options)));
    EXPECT_TRUE(fs::WriteFileAtomic(folder.path() + "/test.conf", "fsync = off\n"));
    for (std::size_t i = 0; i < count; ++i) members.push_back(MakeMember(i));
  }

  Awaitable<void> DescribeDatabase() {
    pb::Database database;
    database.set_name("postgres");
    database.mutable_bootstrap_durability_policy()->set_policy_name("AT_LEAST_2");
    database.mutable_bootstrap_durability_policy()->set_quorum_type(pb::QUORUM_TYPE_AT_LEAST_N);
    database.mutable_bootstrap_durability_policy()->set_required_count(2);
    EXPECT_TRUE(co_await topo::CreateDatabase(*store, {}, database));
    for (const auto& member : members) {
      pb::Cell cell;
      cell.set_name(member->config.id.cell());
      cell.add_server_addresses("memory");
      cell.set_root("/multigres/" + cell.name());
      EXPECT_TRUE(co_await topo::CreateCell(*store, {}, cell));
    }
  }

  Awaitable<Result<>> StartManager(Member& member) {
    member.postgres_seams = std::make_unique<LocalPostgres>(reactor, member.config);
    LocalPostgres& postgres = *member.postgres_seams;
    member.postmaster = std::make_unique<PostmasterWatch>(reactor, member.config.data_dir);
    PoolerManager::Seams seams{reactor,       *store,           postgres.Seams(*member.process), postgres.disk(),
                               *member.peers, member.data_path, member.postmaster.get()};
    member.manager = std::make_unique<PoolerManager>(member.config, seams, TestLogger(topo_name(member)));
    co_return co_await member.manager->Start();
  }
  Awaitable<void> StopManager(Member& member) {
    co_await member.manager->Stop();
    member.manager.reset();
  }
  Awaitable<void> StartAll() {
    for (auto& member : members) {
      EXPECT_TRUE(co_await member->controller->Prepare());
      auto started = co_await StartManager(*member);
      EXPECT_TRUE(started) << (started ? "" : started.error().ToString());
    }
  }
  // The first start of them all, until each has data.
  Awaitable<void> BringUp() {
    co_await DescribeDatabase();
    co_await StartAll();
    EXPECT_TRUE(co_await AllInitialized());
  }
  Awaitable<void> TearDown() {
    for (auto& member : members) {
      if (member->manager) co_await StopManager(*member);
      (void)co_await member->controller->Stop(pgctld::StopMode::kImmediate, 5s);
    }
    co_await store->Close();
  }

  // Until `holds` does, at most 30 s.
  Awaitable<bool> Until(std::function<bool()> holds) {
    const Deadline deadline = reactor.clock().After(30s);
    while (!holds()) {
      if (deadline.Passed(reactor.clock().Now())) co_return false;
      co_await SleepFor(reactor.clock(), 10ms);
    }
    co_return true;
  }
  Awaitable<bool> AllInitialized() {
    co_return co_await Until([this] {
      return std::ranges::all_of(members,
                                 [](const auto& member) { return StatusOf(*member).status().is_initialized(); });
    });
  }

  static ::multipoolermanagerdata::StatusResponse StatusOf(const Member& member) {
    auto snapshot = member.manager ? member.manager->health().value().snapshot : nullptr;
    return snapshot ? *snapshot : ::multipoolermanagerdata::StatusResponse();
  }
  Awaitable<std::vector<multigres::consensus::Candidate>> Candidates() {
    std::vector<multigres::consensus::Candidate> candidates;
    for (auto& member : members) {
      if (!member->manager) continue;
      auto status = co_await member->manager->FreshStatus();
      multigres::consensus::Candidate candidate;
      candidate.status = status->consensus_status();
      candidate.address = member->address();
      candidates.push_back(std::move(candidate));
    }
    co_return candidates;
  }

  static pb::ID Coordinator() {
    pb::ID id;
    id.set_component(pb::ID::MULTIORCH);
    id.set_cell("zone1");
    id.set_name("orch");
    return id;
  }

  Reactor& reactor;
  fs::TempDir folder;
  topo::MemoryTopo topology;
  std::unique_ptr<Random> random = SystemRandom();
  std::unique_ptr<topo::Store> store;
  std::vector<std::unique_ptr<Member>> members;

 private:
  static std::string topo_name(const Member& member) { return member.config.id.cell() + "_" + member.config.id.name(); }

  std::unique_ptr<Member> MakeMember(std::size_t index) {
    auto member = std::make_unique<Member>();
    member->index = index;
    const std::string name(1, static_cast<char>('a' + index));
    ManagerConfig& config = member->config;
    config.id.set_component(pb::ID::MULTIPOOLER);
    config.id.set_cell("zone" + std::to_string(index + 1));
    config.id.set_name(name);
    config.shard.set_database("postgres");
    config.shard.set_table_group("default");
    config.shard.set_shard("0-inf");
    config.hostname = "127.0.0.1";
    config.grpc_port = 1;
    config.http_port = 1;
    config.pg_port = FreePort();
    config.pooler_dir = folder.path() + "/" + name;
    config.data_dir = config.pooler_dir + "/pg_data";
    config.pg_bin_dir = *FindPostgresBinDir();
    config.monitor_interval = 100ms;
    config.refresh_interval = 100ms;
    config.heartbeat_interval = 100ms;

    pgctld::PostgresOptions& postgres = member->postgres;
    postgres.pooler_dir = config.pooler_dir;
    postgres.data_dir = config.data_dir;
    postgres.bin_dir = config.pg_bin_dir;
    postgres.port = static_cast<std::uint16_t>(config.pg_port);
    postgres.password = "secret";
    postgres.listen_addresses = "127.0.0.1";
    // Small and without syncs: the disk is not what is tested here.
    postgres.initdb_args = {"--no-sync", "--wal-segsize=1"};
    postgres.initdb_extra_conf = folder.path() + "/test.conf";
    config.admin.address = UnixAddress{fmt::format("{}/.s.PGSQL.{}", postgres.socket_dir(), postgres.port)};
    config.admin.password = postgres.password;

    member->controller = std::make_unique<pgctld::PostgresController>(reactor, postgres, TestLogger(name));
    member->process = std::make_unique<LocalProcess>(*member->controller);
    member->peers = std::make_unique<LocalPeers>(*this, index);
    member->sql = std::make_unique<replication::AdminSessions>(reactor, config.admin);
    return member;
  }
};

inline Awaitable<Result<std::vector<Peer>>> LocalPeers::Survey(Deadline) {
  std::vector<Peer> peers;
  for (const auto& member : members_.members) {
    if (member->index == self_) continue;
    Peer peer;
    *peer.record.mutable_id() = member->config.id;
    peer.record.set_hostname(member->config.hostname);
    (*peer.record.mutable_port_map())["postgres"] = member->config.pg_port;
    if (member->manager) peer.status = *co_await member->manager->FreshStatus();
    peers.push_back(std::move(peer));
  }
  co_return peers;
}

inline Awaitable<Result<::multipoolermanagerdata::StatusResponse>> LocalPeers::StatusOf(pb::ID id, Deadline) {
  for (const auto& member : members_.members) {
    if (member->config.id.cell() == id.cell() && member->manager) co_return *co_await member->manager->FreshStatus();
  }
  co_return Fail(Code::kUnavailable, "down");
}

}  // namespace multigres::pooler::manager::testing
