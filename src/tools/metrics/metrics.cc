#include "tools/metrics/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "tools/result/check.h"

namespace multigres {

std::size_t MetricShard() {
  static std::atomic<std::size_t> next = 0;
  thread_local const std::size_t shard = next.fetch_add(1, std::memory_order_relaxed) % kMetricShards;
  return shard;
}

std::uint64_t Counter::Value() const {
  std::uint64_t total = 0;
  for (const Shard& shard : shards_) total += shard.value.load(std::memory_order_relaxed);
  return total;
}

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)) {
  CHECK(std::is_sorted(bounds_.begin(), bounds_.end()), "histogram bounds ascend");
  for (Shard& shard : shards_) shard.counts = std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1);
}

void Histogram::Observe(double value) {
  // A bucket counts values up to and including its bound.
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  Shard& shard = shards_[MetricShard()];
  shard.counts[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  shard.sum.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::Read() const {
  Snapshot snapshot;
  snapshot.counts.resize(bounds_.size() + 1);
  for (const Shard& shard : shards_) {
    for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
      snapshot.counts[i] += shard.counts[i].load(std::memory_order_relaxed);
    }
    snapshot.sum += shard.sum.load(std::memory_order_relaxed);
  }
  for (const std::uint64_t count : snapshot.counts) snapshot.count += count;
  return snapshot;
}

std::vector<double> LatencyBounds() {
  return {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
          0.1,     0.25,   0.5,     1,      2.5,   5,      10,    30,   60};
}

namespace {

std::string UnitSuffix(const std::string& unit, MetricKind kind) {
  static const std::map<std::string, std::string> kNames = {
      {"s", "_seconds"}, {"ms", "_milliseconds"}, {"us", "_microseconds"}, {"ns", "_nanoseconds"},
      {"By", "_bytes"},  {"KiBy", "_kibibytes"},  {"MiBy", "_mebibytes"},  {"%", "_percent"}};
  if (unit == "1") return kind == MetricKind::kGauge ? "_ratio" : "";
  const auto found = kNames.find(unit);
  return found == kNames.end() ? "" : found->second;
}

std::string Sanitize(std::string_view name) {
  std::string clean(name);
  for (char& c : clean) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) c = '_';
  }
  return clean;
}

std::string ExposedName(const MetricInfo& info, MetricKind kind) {
  std::string name = Sanitize(info.name);
  const std::string unit = UnitSuffix(info.unit, kind);
  if (!name.ends_with(unit)) name += unit;
  if (kind == MetricKind::kCounter && !name.ends_with("_total")) name += "_total";
  return name;
}

prometheus::MetricType TypeOf(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricKind::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricKind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric ToMetric(MetricKind kind, double value) {
  prometheus::ClientMetric metric;
  (kind == MetricKind::kCounter ? metric.counter.value : metric.gauge.value) = value;
  return metric;
}

prometheus::ClientMetric ToMetric(const Histogram& histogram) {
  const Histogram::Snapshot snapshot = histogram.Read();
  prometheus::ClientMetric metric;
  metric.histogram.sample_count = snapshot.count;
  metric.histogram.sample_sum = snapshot.sum;
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
    cumulative += snapshot.counts[i];
    const double bound = i < histogram.bounds().size() ? histogram.bounds()[i] : HUGE_VAL;
    metric.histogram.bucket.push_back({cumulative, bound});
  }
  return metric;
}

void AddLabels(prometheus::ClientMetric& metric, const MetricLabels& labels) {
  for (const auto& [name, value] : labels) metric.label.push_back({Sanitize(name), value});
}

}  // namespace

// One of the three instruments with its labels.
struct Instrument {
  MetricLabels labels;
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Gauge> gauge;
  std::unique_ptr<Histogram> histogram;
};

struct Metrics::Family {
  MetricKind kind;
  std::string help;
  std::map<MetricLabels, Instrument> instruments;
  std::map<std::uint64_t, std::function<std::vector<Sample>()>> observers;
};

struct Metrics::Impl {
  mutable std::mutex lock;
  std::map<std::string, Family> families;  // by exposed name
  MetricLabels common;
  std::uint64_t next_observer = 1;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Metrics::Family& Metrics::FindFamily(MetricKind kind, const MetricInfo& info) {
  const auto [found, made] = impl_->families.try_emplace(ExposedName(info, kind), Family{kind, info.help, {}, {}});
  CHECK(found->second.kind == kind, "a metric's name has one kind");
  return found->second;
}

Counter& Metrics::AddCounter(const MetricInfo& info, const MetricLabels& labels) {
  const std::lock_guard guard(impl_->lock);
  Instrument& instrument = FindFamily(MetricKind::kCounter, info).instruments[labels];
  if (!instrument.counter) instrument.counter = std::make_unique<Counter>();
  return *instrument.counter;
}

Gauge& Metrics::AddGauge(const MetricInfo& info, const MetricLabels& labels) {
  const std::lock_guard guard(impl_->lock);
  Instrument& instrument = FindFamily(MetricKind::kGauge, info).instruments[labels];
  if (!instrument.gauge) instrument.gauge = std::make_unique<Gauge>();
  return *instrument.gauge;
}

Histogram& Metrics::AddHistogram(const MetricInfo& info, std::vector<double> bounds, const MetricLabels& labels) {
  const std::lock_guard guard(impl_->lock);
  Instrument& instrument = FindFamily(MetricKind::kHistogram, info).instruments[labels];
  if (!instrument.histogram) instrument.histogram = std::make_unique<Histogram>(std::move(bounds));
  return *instrument.histogram;
}

Metrics::Observer Metrics::Observe(MetricKind kind, const MetricInfo& info, std::function<std::vector<Sample>()> read) {
  CHECK(kind != MetricKind::kHistogram);
  const std::lock_guard guard(impl_->lock);
  const std::uint64_t id = impl_->next_observer++;
  FindFamily(kind, info).observers.emplace(id, std::move(read));
  return Observer(this, id);
}

Metrics::Observer::Observer(Observer&& other) noexcept
    : metrics_(std::exchange(other.metrics_, nullptr)), id_(other.id_) {}

Metrics::Observer& Metrics::Observer::operator=(Observer&& other) noexcept {
  std::swap(metrics_, other.metrics_);
  std::swap(id_, other.id_);
  return *this;
}

Metrics::Observer::~Observer() {
  if (metrics_ == nullptr) return;
  const std::lock_guard guard(metrics_->impl_->lock);
  for (auto& [name, family] : metrics_->impl_->families) family.observers.erase(id_);
}

void Metrics::SetCommonLabels(MetricLabels labels) {
  const std::lock_guard guard(impl_->lock);
  impl_->common = std::move(labels);
}

std::string Metrics::Expose() const {
  const std::lock_guard guard(impl_->lock);
  std::vector<prometheus::MetricFamily> out;
  for (const auto& [name, family] : impl_->families) {
    prometheus::MetricFamily exposed{name, family.help, TypeOf(family.kind), {}};
    const auto add = [&](prometheus::ClientMetric metric, const MetricLabels& labels) {
      AddLabels(metric, impl_->common);
      AddLabels(metric, labels);
      exposed.metric.push_back(std::move(metric));
    };
    for (const auto& [labels, instrument] : family.instruments) {
      if (instrument.counter) add(ToMetric(family.kind, static_cast<double>(instrument.counter->Value())), labels);
      if (instrument.gauge) add(ToMetric(family.kind, instrument.gauge->Value()), labels);
      if (instrument.histogram) add(ToMetric(*instrument.histogram), labels);
    }
    for (const auto& [id, read] : family.observers) {
      for (const Sample& sample : read()) add(ToMetric(family.kind, sample.value), sample.labels);
    }
    if (!exposed.metric.empty()) out.push_back(std::move(exposed));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, out);
  return text.str();
}

namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::vector<Metrics::Sample> CpuTime() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {{{{"cpu.mode", "user"}}, Seconds(usage.ru_utime)}, {{{"cpu.mode", "system"}}, Seconds(usage.ru_stime)}};
}

// The n-th number of /proc/self/statm, in bytes.
std::vector<Metrics::Sample> MemoryPages(int index) {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return {};
  unsigned long total = 0;
  unsigned long resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  if (read != 2) return {};
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  return {{{}, static_cast<double>(index == 0 ? total : resident) * page}};
}

}  // namespace

std::vector<Metrics::Observer> ObserveProcess(Metrics& metrics) {
  std::vector<Metrics::Observer> observers;
  observers.push_back(metrics.Observe(MetricKind::kCounter,
                                      {"process.cpu.time", "s", "CPU seconds by the states of the process."}, CpuTime));
  observers.push_back(metrics.Observe(MetricKind::kGauge, {"process.memory.usage", "By", "Physical memory in use."},
                                      [] { return MemoryPages(1); }));
  observers.push_back(metrics.Observe(MetricKind::kGauge, {"process.memory.virtual", "By", "Virtual memory."},
                                      [] { return MemoryPages(0); }));
  return observers;
}

}  // namespace multigres
