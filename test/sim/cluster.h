// A shard in memory: hosts with the real pooler managers, real orchestrators, clients that write, and the time and the
// network between them. One thread; the same seed gives the same run.
#pragma once

#include "common/consensus/durability.h"
#include "services/multiorch/recovery/shard_topology.h"
#include "test/sim/host.h"
#include "test/sim/orchestrator.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::sim {

struct ClusterOptions {
  std::uint64_t seed = 1;
  int members = 3;
  int cells = 3;
  int orchestrators = 1;
  bool multi_cell = false;      // MULTI_CELL_AT_LEAST_2 instead of AT_LEAST_2
  bool from_bootstrap = false;  // no data directory anywhere at first
  bool verbose = false;
};

class Cluster {
 public:
  static constexpr Duration kStep = std::chrono::milliseconds(5);

  explicit Cluster(const ClusterOptions& options);
  // Kills everything and waits until it is over.
  ~Cluster();

  void Step();
  // Both end early on a violation.
  void Run(Duration duration);
  bool RunUntil(const std::function<bool()>& condition, Duration limit);

  // Hosts by index, the retired ones included.
  Host& host(std::size_t index) { return *hosts_[index]; }
  std::size_t hosts() const { return hosts_.size(); }
  Host* Find(std::string_view member);
  Orchestrator& orchestrator(std::size_t index) { return *orchestrators_[index]; }
  std::size_t orchestrators() const { return orchestrators_.size(); }
  // A machine with new volumes and a new identity instead of a retired one.
  Host& Replace(Host& retired);
  // The host's record in the topology has changed.
  void TellOrchestrators(const Host& host);

  // Those whose data path admits writes.
  std::vector<Host*> Serving();
  // One leader; everybody else of its cohort, and everybody that is up, streams from it all that it has.
  bool Settled();
  std::string WhyNotSettled();

  void StartClients(int count);
  void StopClients() { writing_ = false; }
  std::size_t acknowledged_writes() const { return acknowledged_writes_; }

  // A request to the pooler of `to` and its answer. It may have been worked on although no answer came.
  template <class T>
  Awaitable<Result<T>> Call(int from, Clock& clock, Host& to,
                            std::function<Awaitable<Result<T>>(PoolerProcess&, Deadline)> work, Deadline deadline);

  ClusterOptions options;
  VirtualClock clock;
  std::unique_ptr<Random> random;
  Trace trace;
  Network network;
  Ledger ledger;
  PostgresWorld world;
  Judge judge;
  RuleJudge rule_judge;
  topo::MemoryTopo topology;
  orch::MemoryShardTopology shard_topology;

  Logger LoggerFor(const std::string& who);
  static ::clustermetadata::ShardKey Shard();

 private:
  int NewIndex() { return next_index_++; }
  void Describe();
  void PublishHealth();
  void Settle(const std::function<bool()>& over);
  Awaitable<void> Client(int index);
  bool Turn();

  int next_index_ = 0;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Orchestrator>> orchestrators_;
  Reactor client_reactor_;
  TaskGroup clients_;
  bool writing_ = false;
  std::size_t acknowledged_writes_ = 0;
  std::uint64_t steps_ = 0;
};

template <class T>
Awaitable<Result<T>> Cluster::Call(int from, Clock& caller_clock, Host& to,
                                   std::function<Awaitable<Result<T>>(PoolerProcess&, Deadline)> work,
                                   Deadline deadline) {
  struct Pending {
    std::optional<Result<T>> answer;
    Event done;
    void Answer(Result<T> result) {
      if (answer) return;
      answer = std::move(result);
      done.Set();
    }
  };
  auto pending = std::make_shared<Pending>();
  deadline = deadline.Earlier(caller_clock.After(std::chrono::seconds(70)));
  const int there = to.index();
  network.Send(from, there, [this, pending, &to, work, deadline, from, there] {
    const auto answer = [this, pending, from, there](Result<T> result) {
      network.Send(there, from,
                   [pending, result = std::move(result)]() mutable { pending->Answer(std::move(result)); });
    };
    PoolerProcess* process = to.pooler();
    if (process == nullptr || !process->Serves()) {
      if (to.up()) answer(Fail(Code::kUnavailable, "connection refused"));
      return;
    }
    process->calls().Spawn("call",
                           [](PoolerProcess& process, auto work, Deadline deadline, auto answer) -> Awaitable<void> {
                             auto result = co_await work(process, deadline);
                             if (!process.access().severed()) answer(std::move(result));
                           }(*process, work, deadline, answer));
  });
  if (!co_await pending->done.WaitUntil(caller_clock, deadline)) {
    co_return Fail(Code::kDeadlineExceeded, to.member() + " doesn't answer");
  }
  co_return std::move(*pending->answer);
}

}  // namespace multigres::sim
