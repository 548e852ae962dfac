#include "test/sim/pooler_process.h"

#include "test/sim/cluster.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
using pooler::manager::Peer;
using pooler::manager::RoutingRole;
using pooler::manager::ServingState;
using pooler::manager::ServingStatus;
using std::chrono::milliseconds;
using std::chrono::seconds;

// --- disk

Result<> ProcessDisk::Write(const std::string& path, std::string_view content, mode_t mode) {
  if (access_.severed()) return Fail(Code::kUnavailable, "this process is dead");
  return disk_.Write(path, content, mode);
}

Result<> ProcessDisk::Remove(const std::string& path) {
  if (access_.severed()) return Fail(Code::kUnavailable, "this process is dead");
  return disk_.Remove(path);
}

// --- data path

bool SimDataPath::AdmitsWrites() const {
  return state_.role == RoutingRole::kPrimary && state_.status == ServingStatus::kServing;
}

void SimDataPath::Switch(ServingState state) {
  const bool admitted = AdmitsWrites();
  state_ = state;
  if (AdmitsWrites() != admitted) host_.cluster().judge.OnServing(host_.postgres, AdmitsWrites());
}

Awaitable<void> SimDataPath::Apply(ServingState state) {
  if (access_.severed()) co_return;
  // Closing is at once; opening takes a moment.
  if (state.role != RoutingRole::kPrimary || state.status != ServingStatus::kServing) {
    Switch(state);
    co_return;
  }
  co_await SleepFor(host_.clock, milliseconds(1));
  if (!access_.severed()) Switch(state);
}

Awaitable<pooler::manager::DataPath::DrainResult> SimDataPath::Drain(ServingState state, Deadline deadline) {
  DrainResult result;
  if (access_.severed()) co_return result;
  Switch(state);
  const auto waits = [](const auto& commit) { return commit->state == MemoryPostgres::Commit::State::kWaiting; };
  while (std::ranges::any_of(open_, waits) && !deadline.Passed(host_.clock.Now()) && !access_.severed()) {
    co_await SleepFor(host_.clock, milliseconds(20));
  }
  for (auto& commit : open_) {
    if (access_.severed() || !waits(commit)) continue;
    host_.postgres.Cancel(*commit);
    ++result.force_closed;
  }
  co_return result;
}

Awaitable<Result<>> SimDataPath::Write(Deadline deadline) {
  auto reached = co_await access_.Reach(deadline);
  if (!reached) co_return reached;
  // Admission and the WAL insert are one in the simulation: what was admitted earlier is drained or killed.
  if (!AdmitsWrites()) co_return Fail(Code::kFailedPrecondition, "not the primary");
  MemoryPostgres& postgres = host_.postgres;
  if (postgres.in_recovery()) co_return Fail(Code::kFailedPrecondition, "cannot execute in a read-only transaction");
  Cluster& cluster = host_.cluster();
  const auto& status = host_.pooler()->manager().agent().Status();
  cluster.judge.OnWrite(postgres, host_.id(), status.has_term_revocation() ? &status.term_revocation() : nullptr);
  auto commit = postgres.Append(
      cluster.ledger.Make(Record::Kind::kWrite, postgres.wal().timeline(), postgres.wal().last()), true);
  open_.push_back(commit);
  auto done = co_await access_.Await(commit, deadline);
  open_.remove(commit);
  if (done && !access_.severed()) cluster.judge.OnAcknowledged(postgres, *commit->record, commit->length);
  co_return done;
}

// --- peers

SimPeers::SimPeers(Cluster& cluster, Host& self) : cluster_(cluster), self_(self), tasks_(self.reactor.executor()) {}

Awaitable<Result<std::vector<Peer>>> SimPeers::Survey(Deadline deadline) {
  std::vector<Peer> peers;
  for (std::size_t i = 0; i < cluster_.hosts(); ++i) {
    const Host& host = cluster_.host(i);
    if (host.index() == self_.index() || host.retired()) continue;
    peers.push_back(Peer{.record = host.Record(), .status = std::nullopt});
  }
  // All at once; the answers outlive a caller that goes away.
  struct Round {
    std::vector<Peer> peers;
    std::size_t pending = 0;
    Event done;
  };
  auto round = std::make_shared<Round>();
  round->peers = std::move(peers);
  round->pending = round->peers.size();
  if (round->pending == 0) co_return std::vector<Peer>();
  for (std::size_t i = 0; i < round->peers.size(); ++i) {
    tasks_.Spawn("ask peer",
                 [](SimPeers& self, std::shared_ptr<Round> round, std::size_t i, Deadline deadline) -> Awaitable<void> {
                   auto status = co_await self.StatusOf(round->peers[i].record.id(), deadline);
                   if (status) round->peers[i].status = std::move(*status);
                   if (--round->pending == 0) round->done.Set();
                 }(*this, round, i, deadline));
  }
  co_await round->done.Wait();
  co_return std::move(round->peers);
}

Awaitable<Result<::multipoolermanagerdata::StatusResponse>> SimPeers::StatusOf(pb::ID id, Deadline deadline) {
  using Response = ::multipoolermanagerdata::StatusResponse;
  Host* host = cluster_.Find(::multigres::consensus::MemberText(id));
  if (host == nullptr) co_return Fail(Code::kNotFound, "not registered");
  co_return co_await cluster_.Call<Response>(
      self_.index(), self_.clock, *host,
      [](PoolerProcess& pooler, Deadline) -> Awaitable<Result<Response>> {
        co_return *co_await pooler.manager().FreshStatus();
      },
      deadline.Earlier(self_.clock.After(seconds(2))));
}

// --- the process

PoolerProcess::PoolerProcess(Cluster& cluster, Host& host)
    : host_(host),
      access_(cluster.world, host.postgres, host.pgctld(), host.clock),
      disk_(host.disk, access_),
      data_path_(host, access_),
      peers_(cluster, host),
      calls_(host.reactor.executor()),
      life_(host.reactor.executor()),
      end_(host.reactor.executor()) {
  pooler::manager::ManagerConfig config;
  config.id = host.id();
  config.shard = Cluster::Shard();
  config.hostname = host.member();
  config.grpc_port = 1;
  config.http_port = 1;
  config.pooler_dir = "/pooler";
  config.data_dir = "/pooler/pg_data";
  config.refresh_interval = milliseconds(200);
  config.heartbeat_interval = milliseconds(200);
  config.monitor_interval = seconds(1);
  pooler::manager::PoolerManager::Seams seams{host.reactor, *host.store, access_.Seams(), disk_, peers_, data_path_};
  manager_ =
      std::make_unique<pooler::manager::PoolerManager>(std::move(config), seams, cluster.LoggerFor(host.member()));
}

PoolerProcess::~PoolerProcess() = default;

void PoolerProcess::Start() {
  life_.Spawn("life", Run());
}

Awaitable<void> PoolerProcess::Run() {
  auto started = co_await manager_->Start();
  if (started) co_return;
  host_.cluster().trace.Note("{} refuses to start: {}", host_.member(), started.error().message());
  refused_ = true;
}

void PoolerProcess::Terminate() {
  if (leaving_) return;
  leaving_ = true;
  host_.cluster().trace.Note("{} is asked to leave", host_.member());
  end_.Spawn("leave", [](PoolerProcess& process) -> Awaitable<void> {
    co_await process.life_.CancelAndJoin();
    if (process.manager_->ready()) co_await process.manager_->Stop();
    process.over_ = true;
  }(*this));
}

void PoolerProcess::Kill() {
  access_.Sever();
  data_path_.Close();
  end_.Spawn("end", End(std::exchange(leaving_, true)));
}

// On its reactor: a task group may be cancelled nowhere else.
Awaitable<void> PoolerProcess::End(bool leaving) {
  peers_.tasks().Cancel();
  calls_.Cancel();
  co_await life_.CancelAndJoin();
  if (leaving) co_return;  // ends by itself, without effect
  if (manager_->ready()) co_await manager_->Stop();
  over_ = true;
}

}  // namespace multigres::sim
