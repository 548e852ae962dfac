// Metrics: named instruments that any thread updates without a lock, and their Prometheus text.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multigres {

// Threads spread over a few cache lines, so that reactors don't share one on the hot path.
inline constexpr std::size_t kMetricShards = 8;
// This thread's shard.
std::size_t MetricShard();

// Only ever grows.
class Counter {
 public:
  void Add(std::uint64_t n = 1) { shards_[MetricShard()].value.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t Value() const;

 private:
  struct alignas(64) Shard {
    std::atomic<std::uint64_t> value = 0;
  };
  std::array<Shard, kMetricShards> shards_;
};

class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double delta) { value_.fetch_add(delta, std::memory_order_relaxed); }
  double Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

// Counts observations by upper bound.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void Observe(double value);
  struct Snapshot {
    std::vector<std::uint64_t> counts;  // per bucket, not cumulative; the last is beyond the last bound
    std::uint64_t count = 0;
    double sum = 0;
  };
  Snapshot Read() const;
  const std::vector<double>& bounds() const { return bounds_; }

 private:
  struct alignas(64) Shard {
    std::unique_ptr<std::atomic<std::uint64_t>[]> counts;
    std::atomic<double> sum = 0;
  };
  std::vector<double> bounds_;
  std::array<Shard, kMetricShards> shards_;
};

// Bounds in seconds for request latencies: 50 us to 60 s.
std::vector<double> LatencyBounds();

// Dotted OpenTelemetry name and unit ("s", "By", "1", "{query}"), as the spec pages give them. Exposed with '_' for
// '.', the unit spelled out as a suffix (_seconds, _bytes; annotations in braces have none) and _total for counters.
struct MetricInfo {
  std::string name;
  std::string unit;
  std::string help;
};

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

enum class MetricKind : std::uint8_t { kCounter, kGauge, kHistogram };

// All instruments of one process. Instruments live as long as it does: look them up once, when their owner is built.
// The same name and labels give the same instrument; a name keeps the kind it was first used with (CHECK).
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  Counter& AddCounter(const MetricInfo& info, const MetricLabels& labels = {});
  Gauge& AddGauge(const MetricInfo& info, const MetricLabels& labels = {});
  Histogram& AddHistogram(const MetricInfo& info, std::vector<double> bounds, const MetricLabels& labels = {});

  struct Sample {
    MetricLabels labels;
    double value = 0;
  };
  // Values asked for at each exposition, on the thread that calls Expose(). kCounter or kGauge. Remove by dropping the
  // handle, before what `read` refers to is gone.
  class [[nodiscard]] Observer {
   public:
    Observer() = default;
    Observer(Observer&& other) noexcept;
    Observer& operator=(Observer&& other) noexcept;
    ~Observer();

   private:
    friend class Metrics;
    Observer(Metrics* metrics, std::uint64_t id) : metrics_(metrics), id_(id) {}
    Metrics* metrics_ = nullptr;
    std::uint64_t id_ = 0;
  };
  Observer Observe(MetricKind kind, const MetricInfo& info, std::function<std::vector<Sample>()> read);

  // Labels that every sample carries (service name, cell).
  void SetCommonLabels(MetricLabels labels);

  // Prometheus text format 0.0.4, families sorted by name.
  std::string Expose() const;

 private:
  struct Family;
  struct Impl;
  Family& FindFamily(MetricKind kind, const MetricInfo& info);

  std::unique_ptr<Impl> impl_;
};

// process.cpu.time, process.memory.usage and process.memory.virtual of this process.
std::vector<Metrics::Observer> ObserveProcess(Metrics& metrics);

}  // namespace multigres
