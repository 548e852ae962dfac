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
  for (const auto& [action, outcomes] : engine.outcomes()) {
    const std::string name(ActionText(action));
    samples.push_back({{{"action", name}, {"outcome", "success"}}, static_cast<double>(outcomes.succeeded)});
    samples.push_back({{{"action", name}, {"outcome", "failed"}}, static_cast<double>(outcomes.failed)});
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

}  // namespace

std::vector<Metrics::Observer> ObserveOrch(Metrics& metrics, const Engine& engine, const HealthBoard& board) {
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
