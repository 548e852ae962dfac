#include "test/sim/cluster.h"

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/topoclient/cells.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kHealthEvery = 40;  // steps
constexpr Duration kWriteTimeout = seconds(4);

std::string MemberName(int number, int cells) {
  return fmt::format("z{}_{}", number % cells + 1, static_cast<char>('a' + number));
}

}  // namespace

Cluster::Cluster(const ClusterOptions& options)
    : options(options),
      random(SeededRandom(options.seed)),
      trace(clock),
      network(clock, *random),
      world{clock, *random, network, ledger, trace, {}},
      judge(world),
      rule_judge(world),
      topology(clock, options.seed),
      client_reactor_(clock),
      clients_(client_reactor_.executor()) {
  trace.verbose = options.verbose;
  for (int i = 0; i < options.members; ++i) {
    const std::string member = MemberName(i, options.cells);
    hosts_.push_back(std::make_unique<Host>(*this, NewIndex(), member));
  }
  if (!options.from_bootstrap) {
    MemoryPostgres& first = hosts_[0]->postgres;
    first.Initialize("7000");
    auto rules = std::make_shared<pb::RulePosition>();
    *rules->mutable_decision()->mutable_rule_number() = ::multigres::consensus::MakeRuleNumber(0, 1);
    *rules->mutable_decision()->mutable_durability_policy() =
        options.multi_cell ? ::multigres::consensus::MultiCellAtLeast(2) : ::multigres::consensus::AtLeast(2);
    (void)first.Append(ledger.MakeRule(Record::Kind::kDecision, 1, first.wal().last(), std::move(rules)), false);
    first.disk().standby_signal = true;
    for (std::size_t i = 1; i < hosts_.size(); ++i) hosts_[i]->postgres.CopyFrom(first);
  }
  Describe();
  for (auto& host : hosts_) {
    host->Boot();
    host->StartPooler();
  }
  for (int i = 0; i < options.orchestrators; ++i) {
    orchestrators_.push_back(std::make_unique<Orchestrator>(*this, NewIndex(), i, fmt::format("orch{}", i + 1)));
    orchestrators_.back()->Start();
  }
}

Cluster::~Cluster() {
  writing_ = false;
  TaskGroup ending(client_reactor_.executor());
  ending.Spawn("end", clients_.CancelAndJoin());
  for (auto& orchestrator : orchestrators_) orchestrator->Kill();
  for (auto& host : hosts_) host->Crash(false);
  Settle([&] {
    return clients_.size() + ending.size() == 0 && std::ranges::all_of(hosts_, &Host::Quiet) &&
           std::ranges::all_of(orchestrators_, &Orchestrator::Quiet);
  });
  for (auto& host : hosts_) {
    TaskGroup closing(host->reactor.executor());
    closing.Spawn("close", host->store->Close());
    Settle([&closing] { return closing.size() == 0; });
  }
}

// Time goes on for what dies.
void Cluster::Settle(const std::function<bool()>& over) {
  while (true) {
    while (Turn()) {
    }
    if (over()) return;
    clock.Advance(kStep);
  }
}

::clustermetadata::ShardKey Cluster::Shard() {
  pb::ShardKey shard;
  shard.set_database("postgres");
  shard.set_table_group("default");
  shard.set_shard("0-inf");
  return shard;
}

Logger Cluster::LoggerFor(const std::string& who) {
  if (!options.verbose) return {};
  LogOptions log;
  log.level = LogLevel::kDebug;
  log.format = LogFormat::kText;
  log.now = [this] { return clock.WallNow(); };
  return Logger::ToSink(std::move(log), [this](std::string_view line) { trace.NoteLog(line); }).With({{"who", who}});
}

void Cluster::Describe() {
  const pb::DurabilityPolicy policy =
      options.multi_cell ? ::multigres::consensus::MultiCellAtLeast(2) : ::multigres::consensus::AtLeast(2);
  shard_topology.SetPolicy("postgres", policy);
  Host& host = *hosts_[0];
  TaskGroup tasks(host.reactor.executor());
  tasks.Spawn("describe", [](Cluster& cluster, topo::Store& store, pb::DurabilityPolicy policy) -> Awaitable<void> {
    pb::Database database;
    database.set_name("postgres");
    *database.mutable_bootstrap_durability_policy() = std::move(policy);
    (void)co_await topo::CreateDatabase(store, {}, database);
    for (int i = 0; i < cluster.options.cells; ++i) {
      pb::Cell cell;
      cell.set_name(fmt::format("z{}", i + 1));
      cell.add_server_addresses("memory");
      cell.set_root("/" + cell.name());
      (void)co_await topo::CreateCell(store, {}, cell);
    }
  }(*this, *host.store, policy));
  Settle([&tasks] { return tasks.size() == 0; });
}

bool Cluster::Turn() {
  bool ran = client_reactor_.RunTurn();
  for (auto& host : hosts_) {
    if (host->RunTurn()) ran = true;
  }
  for (auto& orchestrator : orchestrators_) {
    if (orchestrator->RunTurn()) ran = true;
  }
  return ran;
}

void Cluster::Step() {
  network.Deliver();
  while (Turn()) {
  }
  for (auto& host : hosts_) host->postgres.Pump();
  PublishHealth();
  rule_judge.OnStep();
  ++steps_;
  clock.Advance(kStep);
}

void Cluster::Run(Duration duration) {
  const TimePoint end = clock.Now() + duration;
  while (clock.Now() < end && !trace.violation()) Step();
}

bool Cluster::RunUntil(const std::function<bool()>& condition, Duration limit) {
  const TimePoint end = clock.Now() + limit;
  while (!condition()) {
    if (clock.Now() >= end || trace.violation()) return false;
    Step();
  }
  return true;
}

Host* Cluster::Find(std::string_view member) {
  auto at = std::ranges::find_if(hosts_, [member](const auto& host) { return host->member() == member; });
  return at == hosts_.end() ? nullptr : at->get();
}

Host& Cluster::Replace(Host& retired) {
  const std::string member = retired.member() + "x";
  hosts_.push_back(std::make_unique<Host>(*this, NewIndex(), member));
  Host& fresh = *hosts_.back();
  fresh.Boot();
  fresh.StartPooler();
  TellOrchestrators(retired);
  TellOrchestrators(fresh);
  return fresh;
}

void Cluster::TellOrchestrators(const Host& host) {
  for (auto& orchestrator : orchestrators_) orchestrator->LearnOf(host);
}

// A health stream as the manager and multiorch have it: a message on every change, and one every 200 ms.
void Cluster::PublishHealth() {
  for (auto& host : hosts_) {
    PoolerProcess* process = host->pooler();
    const bool serves = process != nullptr && process->Serves();
    const bool due = (steps_ + static_cast<std::uint64_t>(host->index()) * 7) % kHealthEvery == 0;
    if (!serves || host->frozen()) {
      const bool refused = due && process == nullptr && host->up();
      for (auto& orchestrator : orchestrators_) {
        if (due) orchestrator->CheckStream(host->member(), clock.Now());
        if (!refused) continue;
        network.Send(host->index(), orchestrator->index(),
                     [&orchestrator = *orchestrator, member = host->member()] { orchestrator.LoseStream(member); });
      }
      continue;
    }
    const auto health = process->manager().health().value();
    if (health.snapshot == nullptr) continue;
    const bool changed = std::exchange(host->told_changes, health.changes) != health.changes;
    if (!changed && !due) continue;
    rule_judge.OnReportedPromise(host->member(), health.snapshot->consensus_status().term_revocation());
    const WallTime captured = host->clock.WallNow();
    for (auto& orchestrator : orchestrators_) {
      if (due) orchestrator->CheckStream(host->member(), clock.Now());
      network.Send(host->index(), orchestrator->index(),
                   [&orchestrator = *orchestrator, member = host->member(), snapshot = health.snapshot, captured] {
                     orchestrator.Hear(member, snapshot, captured);
                   });
    }
  }
}

std::vector<Host*> Cluster::Serving() {
  std::vector<Host*> serving;
  for (auto& host : hosts_) {
    if (host->pooler() != nullptr && host->pooler()->data_path().AdmitsWrites()) serving.push_back(host.get());
  }
  return serving;
}

std::string Cluster::WhyNotSettled() {
  const auto serving = Serving();
  if (serving.size() != 1) return fmt::format("{} members admit writes", serving.size());
  const MemoryPostgres& leader = serving[0]->postgres;
  const Rules rules = leader.VisibleRules();
  if (rules == nullptr) return "there is no rule";
  // A cohort change that was interrupted stays open until the next failover, and nobody is added meanwhile
  // (ha.md, 6.5).
  const bool open = ::multigres::consensus::HasProposal(*rules);
  const auto cohort = ::multigres::consensus::MemberSet::Of(rules->decision().cohort_members());
  for (auto& host : hosts_) {
    if (host.get() == serving[0] || host->retired()) continue;
    if (!host->postgres.KeepsUpWith(leader)) return host->member() + " doesn't stream";
    if (!open && !cohort.Contains(host->member())) return host->member() + " is not in the cohort";
  }
  return "";
}

bool Cluster::Settled() {
  return WhyNotSettled().empty();
}

void Cluster::StartClients(int count) {
  writing_ = true;
  for (int i = 0; i < count; ++i) clients_.Spawn("client", Client(NewIndex()));
}

Awaitable<void> Cluster::Client(int index) {
  while (writing_) {
    co_await SleepFor(clock, milliseconds(random->Between(20, 200)));
    const auto serving = Serving();
    if (serving.empty() || !writing_) continue;
    Host& host = *serving[random->Below(serving.size())];
    const Deadline deadline = clock.After(kWriteTimeout);
    auto written = co_await Call<bool>(
        index, clock, host,
        [](PoolerProcess& process, Deadline deadline) -> Awaitable<Result<bool>> {
          auto done = co_await process.data_path().Write(deadline);
          if (!done) co_return std::unexpected(std::move(done.error()));
          co_return true;
        },
        deadline);
    if (written) ++acknowledged_writes_;
  }
}

}  // namespace multigres::sim
