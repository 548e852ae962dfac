#include "services/multiorch/metrics.h"

namespace multigres::orch {
namespace {

using Samples = std::vector<Metrics::Sample>;

Samples ProblemSamples(const Engine& engine) {
  std::map<std::pair<std::string, std::string_view>, int> counts;
  for (const DetectedProblem& detected : engine.Problems()) {
    ++counts[{ShardName(detected.shard), CodeText(detected.problem.code)}];
  }
  Samples samples;
  for (const auto& [key, count] : counts) {
    samples.push_back({{{"shard", key.first}, {"problem", std::string(key.second)}}, static_cast<double>(count)});
  }
  return samples;
}

Samples ActionSamples(const Engine& engine) {
  Samples samples;
  for (const auto& [action, counts] : engine.action_counts()) {
    const std::string name(ActionText(action));
    samples.push_back({{{"action", name}, {"outcome", "success"}}, static_cast<double>(counts.succeeded)});
    samples.push_back({{{"action", name}, {"outcome", "failed"}}, static_cast<double>(counts.failed)});
  }
  return samples;
}

Samples PoolerSamples(const HealthBoard& board) {
  Samples samples;
  for (const std::string& shard : board.ShardNames()) {
    int connected = 0;
    int known = 0;
    for (const PoolerView& pooler : board.View(shard).poolers) {
      if (pooler.tombstoned) continue;
      ++known;
      if (pooler.stream_connected) ++connected;
    }
    samples.push_back({{{"shard", shard}, {"stream", "connected"}}, static_cast<double>(connected)});
    samples.push_back({{{"shard", shard}, {"stream", "lost"}}, static_cast<double>(known - connected)});
  }
  return samples;
}

void ObserveStep(Metrics& metrics, std::string_view step, const std::optional<WallTime>& from,
                 const std::optional<WallTime>& to) {
  if (!from || !to) return;
  metrics
      .AddHistogram({"multiorch.failover.step.duration", "s",
                     "Steps of failovers: detection (since the old leader's last sign), wait, recruit, promote, "
                     "rule_write, first_write, followers (both since the rule), total (detection to rule)."},
                    LatencyBounds(), {{"step", std::string(step)}})
      .Observe(std::chrono::duration<double>(*to - *from).count());
}

void CountFailover(Metrics& metrics, const FailoverTimeline& timeline) {
  metrics
      .AddCounter({"multiorch.failovers", "{failover}", "Failovers that this orchestrator saw through."},
                  {{"reason", std::string(CodeText(timeline.reason))}})
      .Add();
  if (timeline.needless) {
    metrics
        .AddCounter({"multiorch.failovers.needless", "{failover}",
                     "Failovers whose old leader was alive and replicating when it was replaced."})
        .Add();
  }
  ObserveStep(metrics, "detection", timeline.last_sign, timeline.detected);
  ObserveStep(metrics, "wait", timeline.detected, timeline.started);
  ObserveStep(metrics, "recruit", timeline.started, timeline.recruited);
  ObserveStep(metrics, "promote", timeline.recruited, timeline.promoted);
  ObserveStep(metrics, "rule_write", timeline.promoted, timeline.rule_written);
  ObserveStep(metrics, "first_write", timeline.rule_written, timeline.first_write);
  ObserveStep(metrics, "followers", timeline.rule_written, timeline.followers_attached);
  ObserveStep(metrics, "total", timeline.detected, timeline.rule_written);
}

}  // namespace

std::vector<Metrics::Observer> ObserveOrch(Metrics& metrics, Engine& engine, const HealthBoard& board) {
  engine.failovers().SetListener([&metrics](const FailoverTimeline& timeline) { CountFailover(metrics, timeline); });
  std::vector<Metrics::Observer> observers;
  observers.push_back(metrics.Observe(MetricKind::kGauge,
                                      {"multiorch.problems", "{problem}", "Problems of the watched shards now."},
                                      [&engine] { return ProblemSamples(engine); }));
  observers.push_back(metrics.Observe(MetricKind::kCounter,
                                      {"multiorch.recovery.actions", "{action}", "Recovery actions carried out."},
                                      [&engine] { return ActionSamples(engine); }));
  observers.push_back(metrics.Observe(MetricKind::kGauge,
                                      {"multiorch.poolers", "{pooler}", "Known poolers by the state of their stream."},
                                      [&board] { return PoolerSamples(board); }));
  return observers;
}

}  // namespace multigres::orch
