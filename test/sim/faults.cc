#include "test/sim/faults.h"

#include "common/consensus/durability.h"

namespace multigres::sim {

using ::multigres::consensus::CheckFeasible;
using ::multigres::consensus::MemberSet;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
namespace data = ::multipoolermanagerdata;

namespace {

void Restart(Host& host) {
  host.Boot();
  host.StartPooler();
}

// False if it is to be tried again.
Awaitable<bool> StartReplication(PoolerProcess& process) {
  auto started = co_await process.manager().StartReplication(Deadline::Never());
  co_return started || started.error().code() == Code::kFailedPrecondition;
}

// A request of an operator, whose answer nobody waits for.
void Ask(Host& host, std::function<Awaitable<void>(PoolerProcess&)> work) {
  PoolerProcess* process = host.pooler();
  if (process == nullptr || !process->Serves()) return;
  process->calls().Spawn("operator", [](PoolerProcess& process, auto work) -> Awaitable<void> {
    co_await work(process);
  }(*process, std::move(work)));
}

}  // namespace

void Faults::After(Duration least, Duration most, std::function<void()> mend) {
  const Duration wait(random_.Between(least.count(), most.count()));
  mends_.emplace(cluster_.clock.Now() + wait, std::move(mend));
}

Host& Faults::AnyHost() {
  // Leaders are where it hurts.
  const auto serving = cluster_.Serving();
  if (!serving.empty() && random_.Below(3) == 0) return *serving[random_.Below(serving.size())];
  while (true) {
    Host& host = cluster_.host(random_.Below(cluster_.hosts()));
    if (!host.retired()) return host;
  }
}

void Faults::Run(Duration duration) {
  const TimePoint end = cluster_.clock.Now() + duration;
  TimePoint next = cluster_.clock.Now();
  while (cluster_.clock.Now() < end && !cluster_.trace.violation()) {
    if (cluster_.clock.Now() >= next) {
      Strike();
      next = cluster_.clock.Now() + milliseconds(random_.Between(100, 1800));
    }
    while (!mends_.empty() && mends_.begin()->first <= cluster_.clock.Now()) {
      auto mend = std::move(mends_.begin()->second);
      mends_.erase(mends_.begin());
      mend();
    }
    cluster_.Step();
  }
}

void Faults::Strike() {
  Host& host = AnyHost();
  switch (random_.Below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return StrikeProcesses(host);
    case 5:
    case 6:
    case 7:
      return StrikeNetwork(host);
    case 8:
    case 9:
    case 10:
    case 11:
      return StrikePostgres(host);
    case 12:
    case 13:
      return StrikeOrchestrators();
    default:
      return StrikeOperations(host);
  }
}

void Faults::StrikeProcesses(Host& host) {
  switch (random_.Below(8)) {
    case 0:
    case 1:
      host.postgres.Kill();
      break;
    case 2:
      host.KillPooler();
      After(milliseconds(100), seconds(8), [&host] { host.StartPooler(); });
      break;
    case 3:
    case 4:
      host.Crash(random_.Below(2) == 0);
      After(milliseconds(300), seconds(12), [&host] { Restart(host); });
      break;
    case 5:
      host.SetFrozen(true);
      After(milliseconds(200), seconds(15), [&host] { host.SetFrozen(false); });
      break;
    case 6:
      host.SetFrozen(true);
      host.postgres.SetFrozen(true);
      After(milliseconds(200), seconds(20), [&host] {
        host.SetFrozen(false);
        host.postgres.SetFrozen(false);
      });
      break;
    default:
      host.postgres.SetFrozen(true);
      After(milliseconds(200), seconds(20), [&host] { host.postgres.SetFrozen(false); });
      break;
  }
}

void Faults::StrikeNetwork(Host& host) {
  Network& network = cluster_.network;
  const int self = host.index();
  const int all = static_cast<int>(cluster_.hosts() + cluster_.orchestrators()) + 4;
  const auto other = [this, all] { return static_cast<int>(random_.Below(static_cast<std::uint64_t>(all))); };
  switch (random_.Below(5)) {
    case 0:
      for (int i = 0; i < all; ++i) {
        if (i != self) network.CutBoth(self, i);
      }
      After(milliseconds(500), seconds(15), [&network, self, all] {
        for (int i = 0; i < all; ++i) {
          network.Heal(self, i);
          network.Heal(i, self);
        }
      });
      break;
    case 1: {
      const int to = other();
      if (to == self) break;
      network.CutBoth(self, to);
      After(milliseconds(500), seconds(15), [&network, self, to] {
        network.Heal(self, to);
        network.Heal(to, self);
      });
      break;
    }
    case 2: {
      const int to = other();
      if (to == self) break;
      network.Cut(self, to);
      After(milliseconds(500), seconds(15), [&network, self, to] { network.Heal(self, to); });
      break;
    }
    case 3: {
      const int from = other();
      if (from == self) break;
      network.Cut(from, self);
      After(milliseconds(500), seconds(15), [&network, from, self] { network.Heal(from, self); });
      break;
    }
    default:
      network.weather = {.lost = static_cast<int>(random_.Below(250)),
                         .doubled = static_cast<int>(random_.Below(200)),
                         .slow = static_cast<int>(random_.Below(500))};
      After(seconds(1), seconds(10), [&network] { network.weather = {}; });
      break;
  }
}

void Faults::StrikePostgres(Host& host) {
  MemoryPostgres& postgres = host.postgres;
  switch (random_.Below(7)) {
    case 0:
    case 1:
      postgres.SetReloadLag(milliseconds(random_.Between(100, 1500)));
      After(seconds(2), seconds(15), [&postgres] { postgres.SetReloadLag(milliseconds(20)); });
      break;
    case 2:
      postgres.SetReplaySlow(true);
      After(seconds(1), seconds(8), [&postgres] { postgres.SetReplaySlow(false); });
      break;
    case 3:
      postgres.SetDiskHung(true);
      After(milliseconds(500), seconds(10), [&postgres] { postgres.SetDiskHung(false); });
      break;
    case 4:
      if (postgres.running()) postgres.ChangeSetting("primary_conninfo", "");
      break;
    case 5:
      cluster_.trace.Note("{} waits are cancelled", host.member());
      postgres.CancelWaits();
      break;
    default:
      host.disk.SetFull(true);
      After(milliseconds(500), seconds(8), [&host] { host.disk.SetFull(false); });
      break;
  }
}

void Faults::StrikeOrchestrators() {
  Orchestrator& orchestrator = cluster_.orchestrator(random_.Below(cluster_.orchestrators()));
  switch (random_.Below(4)) {
    case 0:
    case 1:
      orchestrator.Kill();
      After(milliseconds(100), seconds(5), [&orchestrator] { orchestrator.Start(); });
      break;
    case 2:
      orchestrator.SetFrozen(true);
      After(milliseconds(100), seconds(8), [&orchestrator] { orchestrator.SetFrozen(false); });
      break;
    default:
      orchestrator.clock.SetSkew(seconds(random_.Between(-3600, 3600)));
      After(seconds(5), seconds(20), [&orchestrator] { orchestrator.clock.SetSkew({}); });
      break;
  }
}

// Volumes are lost once, and never of a member without which a rule that may be in force couldn't be succeeded any
// more: that takes an operator's certificate. In the middle of a rewind a member has nothing to vote with, and perhaps
// its source is the one that goes.
bool Faults::CanGoOnWithout(const Host* lost) const {
  MemberSet rest;
  for (std::size_t i = 0; i < cluster_.hosts(); ++i) {
    const Host& host = cluster_.host(i);
    if (&host != lost && !host.retired() && !host.InRewind()) rest.Insert(host.member());
  }
  const auto survives = [&rest](const ::clustermetadata::ShardRule& rule) {
    const auto cohort = MemberSet::Of(rule.cohort_members());
    return cohort.empty() || CheckFeasible(rule.durability_policy(), cohort, rest).has_value();
  };
  for (std::size_t i = 0; i < cluster_.hosts(); ++i) {
    const auto* last = cluster_.host(i).postgres.wal().last();
    if (last == nullptr || last->rules == nullptr) continue;
    if (!survives(last->rules->decision()) || !survives(last->rules->proposal())) return false;
  }
  return true;
}

void Faults::StrikeOperations(Host& host) {
  Cluster& cluster = cluster_;
  switch (random_.Below(7)) {
    case 0:
      cluster.topology.FailAll(Error(Code::kUnavailable, "etcd is down"));
      cluster.shard_topology.SetReachable(false);
      After(seconds(1), seconds(20), [&cluster] {
        cluster.topology.ClearFailAll();
        cluster.shard_topology.SetReachable(true);
      });
      break;
    case 1:
      if (host.pooler() != nullptr) host.pooler()->Terminate();
      After(seconds(2), seconds(14), [&host] { host.StartPooler(); });
      break;
    case 2:
    case 3: {
      const auto serving = cluster.Serving();
      if (serving.empty()) break;
      cluster.trace.Note("{} is asked to resign", serving[0]->member());
      Ask(*serving[0], [](PoolerProcess& process) -> Awaitable<void> {
        (void)co_await process.manager().agent().ResignLeadership(Deadline::Never());
      });
      break;
    }
    case 4:
      Ask(host, [](PoolerProcess& process) -> Awaitable<void> {
        (void)co_await process.manager().StopReplication(data::REPLICATION_PAUSE_MODE_REPLAY_AND_RECEIVER, false,
                                                         Deadline::Never());
      });
      After(seconds(1), seconds(8), [&host] {
        Ask(host, [](PoolerProcess& process) -> Awaitable<void> { (void)co_await StartReplication(process); });
      });
      break;
    case 5:
      host.clock.SetSkew(seconds(random_.Between(-600, 600)));
      After(seconds(5), seconds(20), [&host] { host.clock.SetSkew({}); });
      break;
    default:
      if (lost_volumes_ || random_.Below(2) == 0 || !CanGoOnWithout(&host)) break;
      lost_volumes_ = true;
      host.Retire();
      After(seconds(1), seconds(10), [&cluster, &host] { cluster.Replace(host); });
      break;
  }
}

void Faults::MakePeace() {
  cluster_.trace.Note("peace");
  // Ends what is still to come, replacements of lost machines among it.
  for (auto& [at, mend] : std::exchange(mends_, {})) mend();
  cluster_.network.HealAll();
  cluster_.network.weather = {};
  cluster_.topology.ClearFailAll();
  cluster_.shard_topology.SetReachable(true);
  for (std::size_t i = 0; i < cluster_.hosts(); ++i) {
    Host& host = cluster_.host(i);
    if (host.retired()) continue;
    host.SetFrozen(false);
    host.postgres.SetFrozen(false);
    host.postgres.SetReplaySlow(false);
    host.postgres.SetDiskHung(false);
    host.postgres.SetReloadLag(milliseconds(20));
    host.disk.SetFull(false);
    host.clock.SetSkew({});
    Restart(host);
    Ask(host, [&clock = host.clock](PoolerProcess& process) -> Awaitable<void> {
      // Until a server is there that can be told.
      while (!co_await StartReplication(process)) co_await SleepFor(clock, seconds(1));
    });
  }
  for (std::size_t i = 0; i < cluster_.orchestrators(); ++i) {
    cluster_.orchestrator(i).SetFrozen(false);
    cluster_.orchestrator(i).clock.SetSkew({});
    cluster_.orchestrator(i).Start();
  }
}

}  // namespace multigres::sim
