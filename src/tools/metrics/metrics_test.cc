#include "tools/metrics/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace multigres {
namespace {

TEST(Metrics, ExpositionIsGolden) {
  Metrics metrics;
  metrics.SetCommonLabels({{"service.name", "pooler"}});
  metrics.AddCounter({"mg.pool.waits", "{wait}", "Waits for a connection."}, {{"pool", "a\"b"}}).Add(3);
  metrics.AddCounter({"mg.pool.waits", "{wait}", "Waits for a connection."}, {{"pool", "z"}}).Add();
  metrics.AddGauge({"mg.memory.used", "By", "Memory."}).Set(1.5);
  auto& histogram = metrics.AddHistogram({"mg.query.duration", "s", "Latency."}, {0.5, 1});
  histogram.Observe(0.5);
  histogram.Observe(0.75);
  histogram.Observe(2);
  EXPECT_EQ(metrics.Expose(),
            "# HELP mg_memory_used_bytes Memory.\n"
            "# TYPE mg_memory_used_bytes gauge\n"
            "mg_memory_used_bytes{service_name=\"pooler\"} 1.5\n"
            "# HELP mg_pool_waits_total Waits for a connection.\n"
            "# TYPE mg_pool_waits_total counter\n"
            "mg_pool_waits_total{service_name=\"pooler\",pool=\"a\\\"b\"} 3\n"
            "mg_pool_waits_total{service_name=\"pooler\",pool=\"z\"} 1\n"
            "# HELP mg_query_duration_seconds Latency.\n"
            "# TYPE mg_query_duration_seconds histogram\n"
            "mg_query_duration_seconds_count{service_name=\"pooler\"} 3\n"
            "mg_query_duration_seconds_sum{service_name=\"pooler\"} 3.25\n"
            "mg_query_duration_seconds_bucket{service_name=\"pooler\",le=\"0.5\"} 1\n"
            "mg_query_duration_seconds_bucket{service_name=\"pooler\",le=\"1\"} 2\n"
            "mg_query_duration_seconds_bucket{service_name=\"pooler\",le=\"+Inf\"} 3\n");
}

TEST(Metrics, SameNameAndLabelsAreOneInstrument) {
  Metrics metrics;
  EXPECT_EQ(&metrics.AddCounter({"a", "", ""}, {{"k", "v"}}), &metrics.AddCounter({"a", "", ""}, {{"k", "v"}}));
  EXPECT_NE(&metrics.AddCounter({"a", "", ""}, {{"k", "v"}}), &metrics.AddCounter({"a", "", ""}, {{"k", "w"}}));
}

TEST(Metrics, CountsFromManyThreadsAreNotLost) {
  Metrics metrics;
  Counter& counter = metrics.AddCounter({"n", "", ""});
  Histogram& histogram = metrics.AddHistogram({"h", "s", ""}, LatencyBounds());
  std::vector<std::thread> threads;
  threads.reserve(12);
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; ++n) {
        counter.Add();
        histogram.Observe(1.0);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.Value(), 60'000u);
  EXPECT_EQ(histogram.Read().count, 60'000u);
  EXPECT_EQ(histogram.Read().sum, 60'000.0);
}

TEST(Metrics, ObserverIsAskedUntilItIsDropped) {
  Metrics metrics;
  {
    const auto observer = metrics.Observe(MetricKind::kGauge, {"pool.size", "", "h"},
                                          [] { return std::vector<Metrics::Sample>{{{{"user", "u"}}, 7}}; });
    EXPECT_NE(metrics.Expose().find("pool_size{user=\"u\"} 7"), std::string::npos);
  }
  EXPECT_EQ(metrics.Expose(), "");
}

TEST(Metrics, ProcessMetricsHaveValues) {
  Metrics metrics;
  const auto observers = ObserveProcess(metrics);
  const std::string text = metrics.Expose();
  EXPECT_NE(text.find("process_cpu_time_seconds_total{cpu_mode=\"user\"} "), std::string::npos) << text;
  EXPECT_NE(text.find("process_memory_usage_bytes "), std::string::npos);
  EXPECT_NE(text.find("process_memory_virtual_bytes "), std::string::npos);
  EXPECT_EQ(text.find("process_memory_usage_bytes 0\n"), std::string::npos);
}

}  // namespace
}  // namespace multigres
