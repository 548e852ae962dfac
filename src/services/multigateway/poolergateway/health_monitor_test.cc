#include "services/multigateway/poolergateway/health_monitor.h"

#include <gtest/gtest.h>

#include <deque>

#include "multipoolerservice.pb.h"
#include "tools/async/queue.h"
#include "tools/async/reactor.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::gateway::poolergateway {
namespace {

using multipoolerservice::StreamPoolerHealthResponse;
using std::chrono::seconds;

// Streams whose messages the test pushes.
class FakeSource final : public HealthSource {
 public:
  class FakeStream final : public Stream {
   public:
    explicit FakeStream(std::shared_ptr<Queue<StreamPoolerHealthResponse>> queue) : queue_(std::move(queue)) {}
    Awaitable<Result<bool>> Read(StreamPoolerHealthResponse& message) override {
      auto next = co_await queue_->Pop();
      if (!next) co_return Fail(Code::kUnavailable, "over");
      message = std::move(*next);
      co_return true;
    }
    void Cancel() override { queue_->Close(); }

   private:
    std::shared_ptr<Queue<StreamPoolerHealthResponse>> queue_;
  };

  std::unique_ptr<Stream> Open(const PoolerRecord&) override {
    streams.push_back(std::make_shared<Queue<StreamPoolerHealthResponse>>());
    return std::make_unique<FakeStream>(streams.back());
  }

  std::vector<std::shared_ptr<Queue<StreamPoolerHealthResponse>>> streams;
};

StreamPoolerHealthResponse LeaderMessage(std::int64_t term, int staleness_s = 0) {
  StreamPoolerHealthResponse message;
  message.set_serving_status(clustermetadata::SERVING);
  message.mutable_routing_state()->set_role(clustermetadata::PRIMARY);
  message.mutable_routing_state()->mutable_rule()->set_coordinator_term(term);
  if (staleness_s > 0) message.mutable_recommended_staleness_timeout()->set_seconds(staleness_s);
  return message;
}

class HealthMonitorTest : public testing::Test {
 public:
  HealthMonitorTest() {
    monitor_ = std::make_unique<HealthMonitor>(
        reactor_.executor(), clock_, *random_, source_, Logger(),
        [this](const std::string&, const PoolerHealth& health) { reports_.push_back(health); });
  }
  // Lets everything that is ready happen.
  static Awaitable<void> Settle() {
    for (int i = 0; i < 20; i++) co_await asio::post(co_await asio::this_coro::executor, kAwait);
  }
  void Run(Awaitable<void> test) { RunOnReactor(reactor_, std::move(test)); }

  Reactor reactor_;
  VirtualClock clock_;
  std::unique_ptr<Random> random_ = SeededRandom(3);
  FakeSource source_;
  std::vector<PoolerHealth> reports_;
  std::unique_ptr<HealthMonitor> monitor_;
  PoolerRecord record_{"p1", "zone1", "postgres", "default", "0-inf", "host:1"};
};

TEST_F(HealthMonitorTest, ReportsWhatThePoolerSays) {
  Run([](HealthMonitorTest* t) -> Awaitable<void> {
    t->monitor_->Watch(t->record_);
    co_await Settle();
    EXPECT_EQ(t->source_.streams.size(), 1U);
    t->source_.streams[0]->Push(LeaderMessage(7));
    co_await Settle();
    EXPECT_EQ(t->reports_.size(), 1U);
    EXPECT_TRUE(t->reports_.at(0).live);
    EXPECT_TRUE(t->reports_.at(0).primary);
    EXPECT_EQ(t->reports_.at(0).rule.coordinator_term, 7);
    co_await t->monitor_->Stop();
  }(this));
}

TEST_F(HealthMonitorTest, AnEndedStreamIsNotLiveAndIsOpenedAgain) {
  Run([](HealthMonitorTest* t) -> Awaitable<void> {
    t->monitor_->Watch(t->record_);
    co_await Settle();
    t->source_.streams[0]->Push(LeaderMessage(7));
    co_await Settle();
    t->source_.streams[0]->Close();
    co_await Settle();
    EXPECT_EQ(t->reports_.size(), 2U);
    EXPECT_FALSE(t->reports_.at(1).live);
    EXPECT_EQ(t->reports_.at(1).serving, Serving::kDisabled);
    EXPECT_EQ(t->reports_.at(1).rule.coordinator_term, 7);
    EXPECT_EQ(t->source_.streams.size(), 1U);
    // Soon: a pooler that was restarted is waited for.
    t->clock_.Advance(std::chrono::milliseconds(101));
    co_await Settle();
    EXPECT_EQ(t->source_.streams.size(), 2U);
    co_await t->monitor_->Stop();
  }(this));
}

TEST_F(HealthMonitorTest, ASilentStreamGoesStaleAfterTheRecommendedTime) {
  Run([](HealthMonitorTest* t) -> Awaitable<void> {
    t->monitor_->Watch(t->record_);
    co_await Settle();
    t->source_.streams[0]->Push(LeaderMessage(7, 90));
    co_await Settle();
    t->clock_.Advance(seconds(89));
    co_await Settle();
    EXPECT_EQ(t->reports_.size(), 1U);
    t->clock_.Advance(seconds(2));
    co_await Settle();
    EXPECT_EQ(t->reports_.size(), 2U);
    EXPECT_FALSE(t->reports_.back().live);
    co_await t->monitor_->Stop();
  }(this));
}

TEST_F(HealthMonitorTest, ARemovedPoolerIsLeftAlone) {
  Run([](HealthMonitorTest* t) -> Awaitable<void> {
    t->monitor_->Watch(t->record_);
    co_await Settle();
    t->monitor_->Unwatch("p1");
    co_await Settle();
    t->clock_.Advance(seconds(100));
    co_await Settle();
    EXPECT_TRUE(t->reports_.empty());
    EXPECT_EQ(t->source_.streams.size(), 1U);
    co_await t->monitor_->Stop();
  }(this));
}

}  // namespace
}  // namespace multigres::gateway::poolergateway
