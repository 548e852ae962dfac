#include "services/multigateway/plancache/plan_cache.h"

#include <gtest/gtest.h>

#include "services/multigateway/engine/fixed.h"

namespace multigres::gateway::plancache {
namespace {

engine::PlanPtr SomePlan() {
  return std::make_shared<const engine::Plan>(std::make_unique<engine::FixedTag>("X"), engine::PlanTraits{});
}

TEST(PlanCache, FindsWhatWasPut) {
  PlanCache cache(100'000);
  EXPECT_EQ(cache.Find("a"), nullptr);
  auto plan = SomePlan();
  cache.Put("a", plan);
  EXPECT_EQ(cache.Find("a"), plan);
  EXPECT_EQ(cache.stats().hits, 1U);
  EXPECT_EQ(cache.stats().misses, 1U);
  EXPECT_EQ(cache.stats().entries, 1U);
}

TEST(PlanCache, StaysWithinItsBytes) {
  PlanCache cache(50'000);
  for (int i = 0; i < 10'000; i++) cache.Put("statement " + std::to_string(i), SomePlan());
  EXPECT_LE(cache.stats().bytes, 50'000U);
  EXPECT_GT(cache.stats().entries, 50U);
  EXPECT_EQ(cache.stats().entries + cache.stats().evictions, 10'000U);
}

TEST(PlanCache, KeepsWhatIsUsedOften) {
  PlanCache cache(50'000);
  cache.Put("hot", SomePlan());
  for (int i = 0; i < 10'000; i++) {
    if (i % 20 == 0) {
      ASSERT_NE(cache.Find("hot"), nullptr) << i;
    }
    cache.Put("statement " + std::to_string(i), SomePlan());
  }
}

TEST(PlanCache, ForgetsFormerFavouritesInTheEnd) {
  PlanCache cache(50'000);
  for (int i = 0; i < 100; i++) cache.Put("old " + std::to_string(i), SomePlan());
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 100; i++) cache.Find("old " + std::to_string(i));
  }
  for (int i = 0; i < 50'000; i++) {
    std::string key = "new " + std::to_string(i % 60);
    if (cache.Find(key) == nullptr) cache.Put(key, SomePlan());
  }
  std::size_t kept = 0;
  for (int i = 0; i < 60; i++) kept += cache.Find("new " + std::to_string(i)) != nullptr ? 1 : 0;
  EXPECT_GT(kept, 50U);
}

TEST(PlanCache, KeepsNothingWhenOff) {
  PlanCache cache(0);
  cache.Put("a", SomePlan());
  EXPECT_EQ(cache.Find("a"), nullptr);
  EXPECT_FALSE(cache.enabled());
}

}  // namespace
}  // namespace multigres::gateway::plancache
