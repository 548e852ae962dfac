#include "tools/random/random.h"

#include <gtest/gtest.h>

#include <set>

namespace multigres {
namespace {

using std::chrono::milliseconds;

TEST(Random, SameSeedSameSequence) {
  auto a = SeededRandom(42);
  auto b = SeededRandom(42);
  auto c = SeededRandom(43);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto value = a->Next();
    EXPECT_EQ(value, b->Next());
    differs |= value != c->Next();
  }
  EXPECT_TRUE(differs);
}

TEST(Random, BelowCoversItsRangeEvenly) {
  auto random = SeededRandom(1);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts[random->Below(6)];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

TEST(Random, BetweenIncludesBothEnds) {
  auto random = SeededRandom(2);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(random->Between(-1, 1));
  EXPECT_EQ(seen, (std::set<std::int64_t>{-1, 0, 1}));
  random->Between(INT64_MIN, INT64_MAX);
}

TEST(Random, FractionStaysBelowOne) {
  auto random = SeededRandom(3);
  for (int i = 0; i < 10'000; ++i) {
    const double value = random->Fraction();
    EXPECT_GE(value, 0.0);
    EXPECT_LT(value, 1.0);
  }
}

TEST(Random, SystemDoesNotRepeatItself) {
  auto random = SystemRandom();
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random->Next());
  EXPECT_EQ(seen.size(), 1000u);
  std::array<unsigned char, 13> bytes{};
  random->Fill(bytes.data(), bytes.size());
}

TEST(Jitter, GrowsToItsMaximumAndStartsOverAfterReset) {
  auto random = SeededRandom(4);
  Jitter jitter(*random, milliseconds(10), milliseconds(1000));
  Duration largest{};
  for (int n = 0; n < 200; ++n) {
    const Duration bound = n < 7 ? milliseconds(10 << n) : milliseconds(1000);
    const Duration delay = jitter.Next();
    EXPECT_GE(delay, Duration::zero());
    EXPECT_LE(delay, bound);
    largest = std::max(largest, delay);
  }
  EXPECT_GT(largest, milliseconds(640));
  jitter.Reset();
  EXPECT_LE(jitter.Next(), milliseconds(10));
}

TEST(RandomId, IsEightCharactersOfTheAlphabet) {
  auto random = SystemRandom();
  const std::string id = RandomId(*random);
  EXPECT_EQ(id.size(), 8u);
  EXPECT_EQ(id.find_first_not_of(kIdAlphabet), std::string::npos);
}

}  // namespace
}  // namespace multigres
