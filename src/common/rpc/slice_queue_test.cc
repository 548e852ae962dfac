#include "common/rpc/slice_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace multigres::rpc {
namespace {

std::string Content(const SliceQueue& queue) {
  std::string content;
  for (std::size_t i = 0; i < queue.count(); ++i) {
    content.append(reinterpret_cast<const char*>(queue[i].data()), queue[i].size());
  }
  return content;
}

void Append(SliceQueue& queue, std::string_view text) {
  queue.Append(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

TEST(SliceQueue, JoinsSmallPieces) {
  SliceQueue queue;
  for (int i = 0; i < 10; ++i) Append(queue, "abc");
  EXPECT_EQ(queue.count(), 1u);
  EXPECT_EQ(queue.bytes(), 30u);
}

TEST(SliceQueue, MovesLongPiecesByReference) {
  SliceQueue from;
  SliceQueue to;
  Append(from, std::string(100'000, 'x'));
  const std::uint8_t* where = from[0].data();
  Append(to, "head");
  to.MoveFrom(from, 60'000);
  EXPECT_EQ(to[1].data(), where);
  EXPECT_EQ(from.bytes(), 40'000u);
}

TEST(SliceQueue, SharedBytesStayAsTheyAreWhenTheirOwnerGoesOn) {
  SliceQueue from;
  SliceQueue to;
  Append(from, std::string(5'000, 'a'));
  to.MoveFrom(from, 5'000);
  Append(from, std::string(5'000, 'b'));
  Append(to, std::string(5'000, 'c'));
  EXPECT_EQ(Content(to), std::string(5'000, 'a') + std::string(5'000, 'c'));
  EXPECT_EQ(Content(from), std::string(5'000, 'b'));
}

TEST(SliceQueue, IsAFifoUnderAnySequenceOfOperations) {
  std::mt19937 random(1);
  SliceQueue queues[2];
  std::string model[2];
  char next = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t which = random() % 2;
    const std::size_t size = random() % 8 == 0 ? random() % 20'000 : random() % 50;
    switch (random() % 3) {
      case 0: {
        const std::string bytes(size, ++next);
        Append(queues[which], bytes);
        model[which] += bytes;
        break;
      }
      case 1: {
        const std::size_t count = std::min(size, model[which].size());
        queues[which].DropFront(count);
        model[which].erase(0, count);
        break;
      }
      default: {
        const std::size_t count = std::min(size, model[which].size());
        queues[1 - which].MoveFrom(queues[which], count);
        model[1 - which] += model[which].substr(0, count);
        model[which].erase(0, count);
      }
    }
    for (int q : {0, 1}) {
      ASSERT_EQ(queues[q].bytes(), model[q].size());
      if (i % 100 == 0) {
        ASSERT_EQ(Content(queues[q]), model[q]);
      }
    }
  }
}

}  // namespace
}  // namespace multigres::rpc
