#include "services/multigateway/buffer/failover_queue.h"

#include <gtest/gtest.h>

#include <set>

namespace multigres::gateway::buffer {
namespace {

using namespace std::chrono_literals;
using Admission = FailoverQueue::Admission;
using Entry = FailoverQueue::Entry;
using State = FailoverQueue::State;
using Verdict = FailoverQueue::Verdict;

constexpr std::string_view kShard = "default/0-inf/postgres";
constexpr std::string_view kOther = "default/0-inf/other";

class FailoverQueueTest : public testing::Test {
 protected:
  void Make(BufferConfig config) {
    queue_.reset();
    capacity_ = std::make_unique<BufferCapacity>(config.size);
    queue_ = std::make_unique<FailoverQueue>(config, *capacity_, &metrics_, [this](std::string_view shard) {
      return serving_.contains(std::string(shard));
    });
  }
  void SetUp() override { Make({}); }
  void TearDown() override {
    for (auto& entry : entries_) queue_->Leave(*entry, now_);
    EXPECT_EQ(capacity_->taken(), 0U);
    EXPECT_EQ(metrics_.queue_depth.Value(), 0);
  }

  Entry& New(std::string_view shard = kShard, std::optional<TimePoint> since = std::nullopt) {
    entries_.push_back(std::make_unique<Entry>(std::string(shard), since.value_or(now_)));
    return *entries_.back();
  }
  // One that must be queued.
  Entry& Queue(std::string_view shard = kShard) {
    Entry& entry = New(shard);
    EXPECT_EQ(queue_->Join(entry, now_), Admission::kQueued);
    return entry;
  }
  // Time passes, and what falls due is done when it does.
  void Pass(Duration duration) {
    const TimePoint end = now_ + duration;
    while (queue_->NextDue() && *queue_->NextDue() <= end) {
      now_ = std::max(now_, *queue_->NextDue());
      queue_->Tick(now_);
    }
    now_ = end;
  }
  void Leave(Entry& entry) { queue_->Leave(entry, now_); }
  void Serve(std::string_view shard = kShard) { queue_->LeaderServes(shard, now_); }
  State state(std::string_view shard = kShard) const { return queue_->StateOf(shard); }

  Metrics registry_;
  BufferMetrics metrics_{registry_};
  std::set<std::string> serving_;
  std::unique_ptr<BufferCapacity> capacity_;
  std::unique_ptr<FailoverQueue> queue_;
  std::vector<std::unique_ptr<Entry>> entries_;
  TimePoint now_ = TimePoint(100s);
};

TEST_F(FailoverQueueTest, GoesFromIdleToBufferingToDrainingToIdle) {
  EXPECT_EQ(state(), State::kIdle);
  EXPECT_TRUE(queue_->idle());
  Entry& entry = Queue();
  EXPECT_EQ(state(), State::kBuffering);
  EXPECT_FALSE(queue_->idle());
  EXPECT_FALSE(entry.verdict());
  Serve();
  EXPECT_EQ(state(), State::kDraining);
  EXPECT_EQ(entry.verdict(), Verdict::kRetry);
  Leave(entry);
  EXPECT_EQ(state(), State::kIdle);
  EXPECT_TRUE(queue_->idle());
  EXPECT_EQ(metrics_.failovers.Value(), 1U);
  EXPECT_EQ(metrics_.buffered.Value(), 1U);
  EXPECT_EQ(metrics_.drained.Value(), 1U);
  EXPECT_EQ(metrics_.failover_duration.Read().count, 1U);
}

TEST_F(FailoverQueueTest, TellsEachVerdictOnce) {
  Entry& entry = Queue();
  int told = 0;
  entry.on_verdict = [&told] { ++told; };
  Serve();
  Serve();
  Pass(60s);
  EXPECT_EQ(told, 1);
}

TEST_F(FailoverQueueTest, ALeaderOfAnotherShardEndsNothing) {
  Entry& entry = Queue();
  Entry& other = Queue(kOther);
  Serve(kOther);
  EXPECT_FALSE(entry.verdict());
  EXPECT_EQ(other.verdict(), Verdict::kRetry);
  EXPECT_EQ(state(), State::kBuffering);
}

TEST_F(FailoverQueueTest, RetriesAtOnceWhatArrivesWhileOthersAreDrained) {
  Queue();
  Serve();
  EXPECT_EQ(queue_->Join(New(), now_), Admission::kRetryNow);
  EXPECT_EQ(capacity_->taken(), 1U);
}

TEST_F(FailoverQueueTest, DrainsInOrderAndHoldsASlotUntilTheRetryHasEnded) {
  Make({.drain_concurrency = 2});
  Entry& first = Queue();
  Entry& second = Queue();
  Entry& third = Queue();
  Serve();
  EXPECT_TRUE(first.verdict() && second.verdict());
  EXPECT_FALSE(third.verdict());
  Pass(5s);
  EXPECT_FALSE(third.verdict());
  Leave(second);
  EXPECT_EQ(third.verdict(), Verdict::kRetry);
  Leave(first);
  EXPECT_EQ(state(), State::kDraining);
  Leave(third);
  EXPECT_EQ(state(), State::kIdle);
}

TEST_F(FailoverQueueTest, OneThatWaitedBeforeHasItsOldPlaceAndItsOldWindow) {
  Entry& waited = Queue();
  Serve();
  Pass(2s);
  Leave(waited);
  Entry& other = Queue();
  Pass(1s);
  Entry& again = New(kShard, now_ - 3s);
  EXPECT_EQ(queue_->Join(again, now_), Admission::kQueued);
  Serve();
  EXPECT_EQ(again.verdict(), Verdict::kRetry);
  EXPECT_FALSE(other.verdict());
  Leave(again);
  Leave(other);
  Entry& third = New(kShard, now_ - 4s);
  EXPECT_EQ(queue_->Join(third, now_), Admission::kQueued);
  Pass(5900ms);
  EXPECT_FALSE(third.verdict());
  Pass(100ms);
  EXPECT_EQ(third.verdict(), Verdict::kWindowOver);
}

TEST_F(FailoverQueueTest, CountsRequestsThatAreBeingRetriedAgainstTheCapacity) {
  Make({.size = 2});
  Queue();
  Queue(kOther);
  Serve();
  Serve(kOther);
  EXPECT_EQ(queue_->waiting(), 0U);
  EXPECT_EQ(queue_->Join(New("default/0-inf/third"), now_), Admission::kFull);
  EXPECT_EQ(state("default/0-inf/third"), State::kIdle);
  EXPECT_EQ(metrics_.evicted_full.Value(), 1U);
}

TEST_F(FailoverQueueTest, GivesTheOldestPlaceOfAllShardsToANewcomer) {
  Make({.size = 2});
  Entry& oldest = Queue(kOther);
  Entry& younger = Queue();
  Entry& newcomer = Queue();
  EXPECT_EQ(oldest.verdict(), Verdict::kFull);
  EXPECT_FALSE(younger.verdict());
  EXPECT_FALSE(newcomer.verdict());
  Leave(oldest);
  EXPECT_EQ(capacity_->taken(), 2U);
}

TEST_F(FailoverQueueTest, SharesItsCapacityWithOtherReactors) {
  Make({.size = 1});
  ASSERT_TRUE(capacity_->TryTake());  // another reactor's
  EXPECT_EQ(queue_->Join(New(), now_), Admission::kFull);
  capacity_->Return();
  Queue();
}

TEST_F(FailoverQueueTest, FailsARequestWhoseWindowIsOver) {
  Make({.window = 10s, .max_failover_duration = 60s});
  Entry& early = Queue();
  Pass(4s);
  Entry& late = Queue();
  Pass(5900ms);
  EXPECT_FALSE(early.verdict());
  Pass(100ms);
  EXPECT_EQ(early.verdict(), Verdict::kWindowOver);
  EXPECT_FALSE(late.verdict());
  Pass(4s);
  EXPECT_EQ(late.verdict(), Verdict::kWindowOver);
  EXPECT_EQ(metrics_.evicted_window.Value(), 2U);
}

TEST_F(FailoverQueueTest, LetsARequestGoOutOfTurnWhenItsWindowEndsWhileOthersAreRetried) {
  Queue();
  Entry& behind = Queue();
  Pass(1s);
  Serve();
  EXPECT_FALSE(behind.verdict());
  Pass(9s);
  EXPECT_EQ(behind.verdict(), Verdict::kRetry);
}

TEST_F(FailoverQueueTest, TriesEverythingOnceMoreAfterTheLongestDuration) {
  Make({.window = 10s, .max_failover_duration = 20s, .drain_concurrency = 10});
  Queue();
  Pass(15s);
  Entry& late = Queue();
  Pass(4900ms);
  EXPECT_EQ(state(), State::kBuffering);
  EXPECT_FALSE(late.verdict());
  Pass(100ms);
  EXPECT_EQ(state(), State::kDraining);
  EXPECT_EQ(late.verdict(), Verdict::kRetry);
}

TEST_F(FailoverQueueTest, EndsWithoutAnybodyAfterTheLongestDuration) {
  Entry& entry = Queue();
  Leave(entry);
  EXPECT_EQ(state(), State::kBuffering);
  Pass(20s);
  EXPECT_EQ(state(), State::kIdle);
}

TEST_F(FailoverQueueTest, DoesNotBufferAFailoverTooSoonAfterTheLast) {
  Make({.min_time_between_failovers = 60s});
  Entry& entry = Queue();
  Serve();
  Pass(5s);
  Leave(entry);
  Pass(59s);
  EXPECT_EQ(queue_->Join(New(), now_), Admission::kNoWait);
  EXPECT_EQ(metrics_.skipped.Value(), 1U);
  EXPECT_EQ(state(), State::kIdle);
  Queue(kOther);
  Pass(1s);
  Queue();
}

TEST_F(FailoverQueueTest, BuffersTwoFailoversInARowByDefault) {
  for (int i = 0; i < 2; ++i) {
    Entry& entry = Queue();
    Pass(500ms);
    Serve();
    EXPECT_EQ(entry.verdict(), Verdict::kRetry);
    Leave(entry);
  }
}

TEST_F(FailoverQueueTest, DoubtsALeaderThatSeemedFineForAWhile) {
  serving_.insert(std::string(kShard));
  Entry& entry = Queue();
  Pass(FailoverQueue::kDoubt - 1ms);
  EXPECT_FALSE(entry.verdict());
  Pass(1ms);
  EXPECT_EQ(entry.verdict(), Verdict::kRetry);
}

TEST_F(FailoverQueueTest, DoesNotBelieveALeaderThatHasGoneMeanwhile) {
  serving_.insert(std::string(kShard));
  Entry& entry = Queue();
  Pass(100ms);
  serving_.clear();
  Pass(5s);
  EXPECT_FALSE(entry.verdict());
  Serve();
  EXPECT_EQ(entry.verdict(), Verdict::kRetry);
}

TEST_F(FailoverQueueTest, ForgetsARequestWhoseClientIsGone) {
  Entry& gone = Queue();
  Entry& stays = Queue();
  Leave(gone);
  EXPECT_EQ(queue_->waiting(), 1U);
  EXPECT_EQ(capacity_->taken(), 1U);
  EXPECT_EQ(metrics_.evicted_gone.Value(), 1U);
  Serve();
  EXPECT_FALSE(gone.verdict());
  EXPECT_EQ(stays.verdict(), Verdict::kRetry);
}

TEST_F(FailoverQueueTest, TellsEverybodyWhenItIsShutDown) {
  Entry& entry = Queue();
  Entry& other = Queue(kOther);
  queue_->ShutDown(now_);
  EXPECT_EQ(entry.verdict(), Verdict::kShutdown);
  EXPECT_EQ(other.verdict(), Verdict::kShutdown);
  EXPECT_EQ(queue_->Join(New(), now_), Admission::kShutdown);
  EXPECT_EQ(metrics_.evicted_shutdown.Value(), 2U);
}

TEST_F(FailoverQueueTest, DoesNotRememberShardsThatClientsMakeUp) {
  Make({.window = 1s, .max_failover_duration = 1s});
  for (int i = 0; i < 200; ++i) {
    Leave(Queue("default/0-inf/" + std::to_string(i)));
    Pass(2s);
  }
  Queue();
  Serve();
  EXPECT_EQ(state(), State::kDraining);
}

TEST(BufferConfig, RefusesWhatMakesNoSense) {
  EXPECT_TRUE(Validate({}).has_value());
  const auto refused = [](BufferConfig config) { return Validate(config).error().message(); };
  EXPECT_EQ(refused({.size = 0}), "--buffer-size must be at least 1");
  EXPECT_EQ(refused({.window = 0s}), "--buffer-window must be positive");
  EXPECT_EQ(refused({.window = 10s, .max_failover_duration = 9s}),
            "--buffer-max-failover-duration must not be shorter than --buffer-window");
  EXPECT_EQ(refused({.min_time_between_failovers = -1s}), "--buffer-min-time-between-failovers must not be negative");
  EXPECT_EQ(refused({.drain_concurrency = 0}), "--buffer-drain-concurrency must be at least 1");
}

}  // namespace
}  // namespace multigres::gateway::buffer
