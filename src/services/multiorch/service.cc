#include "services/multiorch/service.h"

#include "common/consensus/member.h"
#include "common/topoclient/cells.h"
#include "services/multiorch/shutdown_records.h"

namespace multigres::orch {
namespace {

constexpr Duration kReadyTimeout = std::chrono::seconds(4);
// How long recovery waits for the first complete look at the topology, and for its place among the orchestrators.
constexpr Duration kDiscoveryTimeout = std::chrono::seconds(10);
constexpr Duration kDiscoveryPoll = std::chrono::milliseconds(20);
constexpr Duration kForgetTombstones = std::chrono::hours(4);
constexpr Duration kDeleteRecordsEvery = std::chrono::minutes(10);
constexpr Duration kDeleteRecordsTimeout = std::chrono::minutes(1);

ActionOptions ActionsFor(const Config& config) {
  ActionOptions options;
  options.verify_timeout = config.verify_replication_timeout;
  return options;
}

}  // namespace

Service::Service(const Config& config, WatchTargets targets, clustermetadata::ID self, Reactor& reactor,
                 topo::Store& store, Random& random, Logger logger, rpc::ChannelOptions channel)
    : store_(store),
      clock_(reactor.clock()),
      targets_(std::move(targets)),
      context_{reactor, random, logger, board_, config.engine.thresholds.report_interval, std::move(channel)},
      board_(clock_),
      connections_(context_),
      topology_(store),
      engine_(self, reactor.executor(), clock_, random, logger, board_, connections_, topology_, config.engine,
              ActionsFor(config)),
      grpc_(engine_, board_),
      cache_(clock_, *this, {}),
      discovery_(store, cache_),
      roster_(store, self, context_.channel),
      tasks_(reactor.executor()) {
  engine_.SetRank([this](const clustermetadata::ShardKey& shard) { return roster_.Rank(shard); });
}

Service::~Service() = default;

Awaitable<void> Service::Start(clustermetadata::MultiOrch record) {
  registration_ = std::make_unique<topo::OrchRegistration>(store_, std::move(record));
  co_await registration_->Start();
  discovery_.Start();
  tasks_.Spawn("roster", roster_.Follow());
  tasks_.Spawn("start recovery", StartEngine());
  tasks_.Spawn("sweep", Sweep());
  tasks_.Spawn("delete old records", DeleteOldRecords());
}

Awaitable<void> Service::StartEngine() {
  const Deadline deadline = clock_.After(kDiscoveryTimeout);
  while (!(discovery_.synced() && roster_.known()) && !deadline.Passed(clock_.Now())) {
    co_await SleepFor(clock_, kDiscoveryPoll);
  }
  engine_.Start();
}

Awaitable<void> Service::Stop() {
  co_await tasks_.CancelAndJoin();
  co_await engine_.Stop();
  co_await discovery_.Stop();
  co_await connections_.Stop();
  if (registration_ == nullptr) co_return;
  const bool registered = registration_->registered();
  auto stopped = co_await registration_->Stop();
  if (!stopped && registered) context_.logger.Warn("unregistration failed", {{"error", stopped.error()}});
}

void Service::SetTargets(WatchTargets targets) {
  targets_ = std::move(targets);
  for (const auto& [component_id, member] : std::map(members_)) {
    const PoolerView* pooler = board_.Find(member);
    if (pooler == nullptr || targets_.Matches(pooler->record->shard_key())) continue;
    connections_.Disconnect(member);
    board_.Forget(member);
    members_.erase(component_id);
  }
  for (const topo::PoolerCache::Entry& entry : cache_.Live()) OnUpsert(entry);
}

void Service::OnUpsert(const topo::PoolerCache::Entry& entry) {
  const auto& pooler = *entry.pooler;
  if (!targets_.Matches(pooler.shard_key())) return;
  auto member = consensus::CheckedMemberText(pooler.id());
  if (!member) {
    context_.logger.Warn("pooler ignored", {{"component", entry.component_id}, {"error", member.error()}});
    return;
  }
  members_[entry.component_id] = *member;
  board_.SetRecord(entry.pooler);
  connections_.Connect(*member, pooler);
}

void Service::OnGone(const std::string& component_id) {
  auto at = members_.find(component_id);
  if (at == members_.end()) return;
  board_.SetTombstone(at->second);
  connections_.Disconnect(at->second);
}

Awaitable<void> Service::DeleteOldRecords() {
  while (true) {
    co_await SleepFor(clock_, kDeleteRecordsEvery);
    auto deleted = co_await DeleteOldShutdownRecords(store_, targets_, clock_.After(kDeleteRecordsTimeout));
    if (!deleted) {
      context_.logger.Warn("old records not deleted", {{"error", deleted.error()}});
    } else if (*deleted > 0) {
      context_.logger.Info("old records deleted", {{"count", *deleted}});
    }
  }
}

Awaitable<void> Service::Sweep() {
  while (true) {
    co_await SleepFor(clock_, topo::PoolerCache::kSweepInterval);
    for (const auto& [component_id, member] : std::map(members_)) {
      const PoolerView* pooler = board_.Find(member);
      if (pooler == nullptr) continue;
      if (pooler->stream_connected) cache_.Contacted(component_id);
      if (pooler->tombstoned && clock_.Now() - pooler->tombstoned_since > kForgetTombstones) {
        board_.Forget(member);
        members_.erase(component_id);
      }
    }
    cache_.Sweep();
  }
}

std::string Service::InitializationStatus() const {
  return registration_ == nullptr ? "not registered yet" : registration_->status();
}

Awaitable<Result<>> Service::CheckReady() {
  if (registration_ == nullptr || !registration_->registered()) {
    co_return Fail(Code::kUnavailable, InitializationStatus());
  }
  auto cells = co_await topo::CellNames(store_, {.deadline = clock_.After(kReadyTimeout)});
  if (!cells) co_return Fail(std::move(cells), "read the cells");
  co_return Result<>{};
}

}  // namespace multigres::orch
