#include "test/sim/orchestrator.h"

#include "consensusdata.pb.h"
#include "test/sim/cluster.h"
#include "test/sim/judged_calls.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
namespace data = ::multipoolermanagerdata;

namespace {

// Without a message for so long the transport gives a health stream up.
constexpr Duration kStreamTimeout = std::chrono::seconds(10);

pb::ID OrchId(const std::string& name) {
  pb::ID id;
  id.set_component(pb::ID::MULTIORCH);
  id.set_cell("z1");
  id.set_name(name);
  return id;
}

}  // namespace

struct Orchestrator::Process {
  class Client final : public orch::PoolerClient {
   public:
    Client(Process& process, Host& host) : process_(process), host_(host) {}

    Awaitable<Result<data::StatusResponse>> Status(Deadline deadline) override {
      co_return co_await Ask<data::StatusResponse>(
          [](PoolerProcess& pooler, Deadline) -> Awaitable<Result<data::StatusResponse>> {
            co_return *co_await pooler.manager().FreshStatus();
          },
          deadline);
    }
    Awaitable<Result<::consensusdata::RecruitResponse>> Recruit(::consensusdata::RecruitRequest request,
                                                                Deadline deadline) override {
      co_return co_await Ask<::consensusdata::RecruitResponse>(
          [request](PoolerProcess& pooler, Deadline deadline) -> Awaitable<Result<::consensusdata::RecruitResponse>> {
            auto status = co_await sim::Recruit(pooler, request.term_revocation(), deadline);
            if (!status) co_return std::unexpected(std::move(status.error()));
            ::consensusdata::RecruitResponse response;
            *response.mutable_consensus_status() = std::move(*status);
            co_return response;
          },
          deadline);
    }
    Awaitable<Result<::consensusdata::PromoteResponse>> Promote(::consensusdata::PromoteRequest request,
                                                                Deadline deadline) override {
      co_return co_await Ask<::consensusdata::PromoteResponse>(
          [request](PoolerProcess& pooler, Deadline deadline) -> Awaitable<Result<::consensusdata::PromoteResponse>> {
            auto status = co_await sim::Promote(pooler, request, deadline);
            if (!status) co_return std::unexpected(std::move(status.error()));
            ::consensusdata::PromoteResponse response;
            *response.mutable_consensus_status() = std::move(*status);
            co_return response;
          },
          deadline);
    }
    Awaitable<Result<::consensusdata::SetPrimaryResponse>> SetPrimary(::consensusdata::SetPrimaryRequest request,
                                                                      Deadline deadline) override {
      co_return co_await Ask<::consensusdata::SetPrimaryResponse>(
          [request](PoolerProcess& pooler,
                    Deadline deadline) -> Awaitable<Result<::consensusdata::SetPrimaryResponse>> {
            auto status = co_await pooler.manager().agent().SetPrimary(request.replication_primary(), deadline);
            if (!status) co_return std::unexpected(std::move(status.error()));
            ::consensusdata::SetPrimaryResponse response;
            *response.mutable_consensus_status() = std::move(*status);
            co_return response;
          },
          deadline);
    }
    Awaitable<Result<data::UpdateConsensusRuleResponse>> UpdateConsensusRule(data::UpdateConsensusRuleRequest request,
                                                                             Deadline deadline) override {
      co_return co_await Ask<data::UpdateConsensusRuleResponse>(
          [request](PoolerProcess& pooler, Deadline deadline) -> Awaitable<Result<data::UpdateConsensusRuleResponse>> {
            auto position = co_await sim::UpdateConsensusRule(pooler, request, deadline);
            if (!position) co_return std::unexpected(std::move(position.error()));
            data::UpdateConsensusRuleResponse response;
            *response.mutable_current_position() = std::move(*position);
            co_return response;
          },
          deadline);
    }

   private:
    template <class T>
    Awaitable<Result<T>> Ask(std::function<Awaitable<Result<T>>(PoolerProcess&, Deadline)> work, Deadline deadline) {
      if (process_.killed) co_return Fail(Code::kUnavailable, "this process is dead");
      co_return co_await process_.cluster.Call<T>(process_.index, process_.clock, host_, std::move(work), deadline);
    }

    Process& process_;
    Host& host_;
  };

  class Clients final : public orch::PoolerClients {
   public:
    explicit Clients(Process& process) : process_(process) {}
    std::shared_ptr<orch::PoolerClient> Find(const std::string& member) override {
      Host* host = process_.cluster.Find(member);
      return host == nullptr ? nullptr : std::make_shared<Client>(process_, *host);
    }

   private:
    Process& process_;
  };

  Process(Cluster& cluster, Orchestrator& owner, std::uint64_t seed)
      : cluster(cluster),
        index(owner.index()),
        clock(owner.clock),
        random(SeededRandom(seed)),
        board(owner.clock),
        clients(*this),
        engine(OrchId(owner.name()), owner.reactor.executor(), owner.clock, *random, cluster.LoggerFor(owner.name()),
               board, clients, cluster.shard_topology, options),
        ending(owner.reactor.executor()) {
    engine.SetRank([rank = owner.rank()](const pb::ShardKey&) { return rank; });
  }

  Awaitable<void> End() {
    co_await engine.Stop();
    over = true;
  }

  Cluster& cluster;
  const int index;
  Clock& clock;
  bool killed = false;
  bool over = false;
  std::map<std::string, TimePoint> heard;  // by member, while its stream is up
  std::unique_ptr<Random> random;
  orch::HealthBoard board;
  Clients clients;
  orch::EngineOptions options;
  orch::Engine engine;
  TaskGroup ending;
};

Orchestrator::Orchestrator(Cluster& cluster, int index, int rank, std::string name)
    : clock(cluster.clock), reactor(clock), cluster_(cluster), index_(index), rank_(rank), name_(std::move(name)) {}

Orchestrator::~Orchestrator() = default;

void Orchestrator::Start() {
  if (process_ != nullptr) return;
  frozen_ = false;
  process_ = std::make_unique<Process>(cluster_, *this, cluster_.options.seed * 1000 + index_ * 37 + ++starts_);
  for (std::size_t i = 0; i < cluster_.hosts(); ++i) LearnOf(cluster_.host(i));
  process_->engine.Start();
  cluster_.trace.Note("{} starts", name_);
}

void Orchestrator::Kill() {
  if (process_ == nullptr) return;
  frozen_ = false;
  process_->killed = true;
  process_->ending.Spawn("end", process_->End());
  dead_.push_back(std::move(process_));
  cluster_.trace.Note("{} is killed", name_);
}

void Orchestrator::Bury() {
  std::erase_if(dead_, [](const auto& process) { return process->over && process->ending.size() == 0; });
}

bool Orchestrator::RunTurn() {
  if (frozen_) return false;
  const bool ran = reactor.RunTurn();
  if (!dead_.empty()) Bury();
  return ran;
}

void Orchestrator::LearnOf(const Host& host) {
  if (process_ == nullptr) return;
  process_->board.SetRecord(std::make_shared<const pb::MultiPooler>(host.Record()));
}

void Orchestrator::Hear(const std::string& member, const Status& status, WallTime captured_at) {
  if (process_ == nullptr) return;
  process_->heard[member] = clock.Now();
  process_->board.SetConnected(member, true);
  process_->board.SetStatus(member, *status, captured_at);
}

void Orchestrator::LoseStream(const std::string& member) {
  if (process_ == nullptr) return;
  process_->heard.erase(member);
  process_->board.SetConnected(member, false);
}

void Orchestrator::CheckStream(const std::string& member, TimePoint now) {
  if (process_ == nullptr) return;
  auto at = process_->heard.find(member);
  if (at != process_->heard.end() && now - at->second > kStreamTimeout) LoseStream(member);
}

}  // namespace multigres::sim
