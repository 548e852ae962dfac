#include "test/sim/host.h"

#include "common/consensus/safety.h"
#include "common/topoclient/memorytopo/testing.h"
#include "test/sim/cluster.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;

namespace {

// What the simulation's files are called: the pooler's folder is /pooler.
constexpr std::string_view kPromises = "/pooler/consensus_promises.json";
// A supervisor starts a pooler again that couldn't start.
constexpr Duration kRetryStart = std::chrono::seconds(2);

}  // namespace

Host::Host(Cluster& cluster, int index, std::string member)
    : clock(cluster.clock),
      os(clock),
      reactor(clock),
      postgres(cluster.world, member, index),
      random(SeededRandom(cluster.options.seed * 100 + static_cast<std::uint64_t>(index))),
      store(topo::NewMemoryStore(reactor, cluster.topology, *random)),
      cluster_(cluster),
      index_(index),
      member_(std::move(member)),
      id_(*::multigres::consensus::ParseMember(member_)) {
  disk.SetSyncs(::multigres::consensus::Enforced(::multigres::consensus::SafetyRule::kPromiseSynced));
}

Host::~Host() = default;

pb::MultiPooler Host::Record() const {
  pb::MultiPooler record;
  *record.mutable_id() = id_;
  *record.mutable_shard_key() = Cluster::Shard();
  record.set_hostname(member_);
  (*record.mutable_port_map())["postgres"] = 5432;
  (*record.mutable_port_map())["grpc"] = 1;
  record.mutable_lifecycle_status()->set_status(left_ || retired_ ? pb::LIFECYCLE_SHUTDOWN : pb::LIFECYCLE_ACTIVE);
  return record;
}

void Host::Boot() {
  if (pgctld_ != nullptr || retired_) return;
  postgres.SetHostUp(true);
  pgctld_ = std::make_shared<MemoryPgctld>(cluster_.world, postgres, os.executor());
}

void Host::StartPooler() {
  if (pgctld_ == nullptr) return;
  if (pooler_ != nullptr) {
    start_again_ = pooler_->leaving();
    return;
  }
  // A data directory that was there before the run has its promise file.
  if (postgres.disk().initialized && postgres.wal().size() <= 2 && !disk.Exists(std::string(kPromises))) {
    (void)disk.Write(std::string(kPromises), "{}", 0600);
  }
  frozen_ = false;
  pooler_ = std::make_unique<PoolerProcess>(cluster_, *this);
  pooler_->Start();
  if (std::exchange(left_, false)) cluster_.TellOrchestrators(*this);
  cluster_.trace.Note("{} pooler starts", member_);
}

void Host::KillPooler() {
  if (pooler_ == nullptr) return;
  cluster_.trace.Note("{} pooler is killed", member_);
  frozen_ = start_again_ = false;
  pooler_->Kill();
  dead_.push_back(std::move(pooler_));
}

void Host::Crash(bool power_lost) {
  if (pgctld_ == nullptr) return;
  KillPooler();
  cluster_.trace.Note("{} {}", member_, power_lost ? "loses power" : "crashes");
  retry_at_.reset();
  pgctld_->End();
  postgres.SetHostUp(false);
  dying_pgctld_.push_back(std::move(pgctld_));
  pgctld_ = nullptr;
  if (power_lost) {
    postgres.LosePower();
    disk.Crash();
  } else {
    postgres.Kill();
  }
}

void Host::Retire() {
  Crash(true);
  retired_ = true;  // what was on its disk stays there for the judge alone
  cluster_.trace.Note("{} loses its volumes", member_);
}

void Host::Bury() {
  if (pooler_ != nullptr && pooler_->Quiet()) {
    cluster_.trace.Note("{} pooler has left", member_);
    dead_.push_back(std::move(pooler_));
    left_ = true;
    cluster_.TellOrchestrators(*this);
    if (std::exchange(start_again_, false)) StartPooler();
  }
  std::erase_if(dead_, [](const auto& process) { return process->Quiet(); });
  std::erase_if(dying_pgctld_, [](const auto& pgctld) { return pgctld->Quiet(); });
}

void Host::Supervise() {
  if (pooler_ != nullptr && pooler_->refused()) {
    KillPooler();
    retry_at_ = clock.Now() + kRetryStart;
  }
  if (retry_at_ && clock.Now() >= *retry_at_) {
    retry_at_.reset();
    StartPooler();
  }
}

bool Host::RunTurn() {
  bool ran = os.RunTurn();
  if (!frozen_ && reactor.RunTurn()) ran = true;
  Bury();
  Supervise();
  return ran;
}

}  // namespace multigres::sim
