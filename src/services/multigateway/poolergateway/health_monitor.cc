#include "services/multigateway/poolergateway/health_monitor.h"

#include "multipoolerservice.pb.h"

namespace multigres::gateway::poolergateway {
namespace {

Serving ServingOf(clustermetadata::PoolerServingStatus status) {
  switch (status) {
    case clustermetadata::SERVING:
      return Serving::kServing;
    case clustermetadata::DRAINING:
      return Serving::kDraining;
    default:
      return Serving::kDisabled;
  }
}

PoolerHealth HealthOf(const multipoolerservice::StreamPoolerHealthResponse& message) {
  PoolerHealth health;
  health.live = true;
  health.serving = ServingOf(message.serving_status());
  health.primary = message.routing_state().role() == clustermetadata::PRIMARY;
  health.rule = {message.routing_state().rule().coordinator_term(), message.routing_state().rule().leader_subterm()};
  health.replication_lag = Duration(message.replication_lag_ns());
  return health;
}

}  // namespace

struct HealthMonitor::Watched {
  Watched(PoolerRecord pooler, Random& random, const HealthMonitorOptions& options)
      : record(std::move(pooler)),
        staleness(options.staleness_timeout),
        backoff(random, options.backoff_base, options.backoff_max) {}

  PoolerRecord record;
  Duration staleness;
  Jitter backoff;
  PoolerHealth health;
  bool unwatched = false;
  std::unique_ptr<HealthSource::Stream> stream;
  Event unwatch;
};

HealthMonitor::HealthMonitor(Executor executor, Clock& clock, Random& random, HealthSource& source, Logger logger,
                             Report report, HealthMonitorOptions options)
    : clock_(clock),
      random_(random),
      source_(source),
      logger_(std::move(logger)),
      report_(std::move(report)),
      options_(options),
      tasks_(std::move(executor)) {}

HealthMonitor::~HealthMonitor() = default;

void HealthMonitor::Watch(const PoolerRecord& pooler) {
  auto it = watched_.find(pooler.id);
  if (it != watched_.end()) {
    if (it->second->record == pooler) return;
    Unwatch(pooler.id);
  }
  auto watched = std::make_shared<Watched>(pooler, random_, options_);
  watched_.emplace(pooler.id, watched);
  tasks_.Spawn("pooler health stream", Follow(std::move(watched)));
}

void HealthMonitor::Unwatch(std::string_view pooler_id) {
  auto it = watched_.find(pooler_id);
  if (it == watched_.end()) return;
  it->second->unwatched = true;
  it->second->unwatch.Set();
  if (it->second->stream) it->second->stream->Cancel();
  source_.Forget(pooler_id);
  watched_.erase(it);
}

Awaitable<void> HealthMonitor::Stop() {
  while (!watched_.empty()) Unwatch(std::string(watched_.begin()->first));
  co_await tasks_.Join();
}

Awaitable<void> HealthMonitor::Follow(std::shared_ptr<Watched> watched) {
  while (!watched->unwatched) {
    co_await FollowStream(*watched);
    if (watched->unwatched) co_return;
    watched->health.live = false;
    watched->health.serving = Serving::kDisabled;
    report_(watched->record.id, watched->health);
    Deadline next = clock_.After(watched->backoff.Next());
    co_await watched->unwatch.WaitUntil(clock_, next);
  }
}

Awaitable<void> HealthMonitor::FollowStream(Watched& watched) {
  watched.stream = source_.Open(watched.record);
  HealthSource::Stream* stream = watched.stream.get();
  multipoolerservice::StreamPoolerHealthResponse message;
  for (;;) {
    Timer stale = clock_.Schedule(watched.staleness, [stream] { stream->Cancel(); });
    message.Clear();
    auto read = co_await stream->Read(message);
    stale.Cancel();
    if (watched.unwatched) break;
    if (!read || !*read) {
      if (!read) {
        logger_.Warn("pooler health stream ended", {{"pooler", watched.record.id}, {"error", read.error()}});
      } else {
        logger_.Warn("pooler health stream ended", {{"pooler", watched.record.id}});
      }
      break;
    }
    Take(watched, message);
  }
  watched.stream.reset();
}

void HealthMonitor::Take(Watched& watched, const multipoolerservice::StreamPoolerHealthResponse& message) {
  watched.backoff.Reset();
  if (message.has_recommended_staleness_timeout()) {
    const auto& timeout = message.recommended_staleness_timeout();
    Duration recommended = std::chrono::seconds(timeout.seconds()) + std::chrono::nanoseconds(timeout.nanos());
    if (recommended > Duration::zero()) watched.staleness = recommended;
  }
  PoolerHealth health = HealthOf(message);
  if (health.primary != watched.health.primary || health.rule != watched.health.rule ||
      health.serving != watched.health.serving || !watched.health.live) {
    logger_.Info("pooler health changed", {{"pooler", watched.record.id},
                                           {"primary", health.primary},
                                           {"serving", health.serving == Serving::kServing},
                                           {"coordinator_term", health.rule.coordinator_term},
                                           {"leader_subterm", health.rule.leader_subterm}});
  }
  watched.health = health;
  report_(watched.record.id, health);
}

}  // namespace multigres::gateway::poolergateway
