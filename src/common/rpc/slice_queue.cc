#include "common/rpc/slice_queue.h"

#include <algorithm>
#include <cstring>

#include "tools/result/check.h"

namespace multigres::rpc {

namespace {
// The first block of an empty queue is small, since most calls carry little; a queue that grows gets larger ones.
constexpr std::size_t kFirstBlockBytes = 512 - sizeof(Block);
constexpr std::size_t kBlockBytes = 16 * 1024 - sizeof(Block);
// From here on an iovec costs less than a copy.
constexpr std::size_t kReferenceBytes = 4 * 1024;
}  // namespace

std::uint8_t* SliceQueue::Extend(std::size_t count) {
  if (fill_ == nullptr || fill_->room() < count) {
    fill_ = Block::Create(std::max(count, empty() ? kFirstBlockBytes : kBlockBytes));
  }
  const std::size_t begin = fill_->size();
  std::uint8_t* bytes = fill_->Extend(count);
  bytes_ += count;
  if (slices_.size() > head_ && slices_.back().block == fill_ && slices_.back().end == begin) {
    slices_.back().end += count;
  } else {
    slices_.push_back(Slice{fill_, begin, begin + count});
  }
  return bytes;
}

void SliceQueue::Append(const std::uint8_t* bytes, std::size_t count) {
  if (count > 0) std::memcpy(Extend(count), bytes, count);
}

void SliceQueue::Append(Slice slice) {
  bytes_ += slice.size();
  slices_.push_back(std::move(slice));
}

void SliceQueue::DropFront(std::size_t count) {
  CHECK(count <= bytes_);
  bytes_ -= count;
  while (count > 0) {
    Slice& front = slices_[head_];
    const std::size_t step = std::min(count, front.size());
    front.begin += step;
    count -= step;
    if (front.size() == 0) {
      front.block.reset();
      ++head_;
    }
  }
  if (bytes_ == 0) {
    Clear();
  } else if (head_ >= 64 && head_ * 2 >= slices_.size()) {
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void SliceQueue::MoveFrom(SliceQueue& from, std::size_t count) {
  std::size_t left = count;
  for (std::size_t i = 0; left > 0; ++i) {
    const Slice& slice = from[i];
    const std::size_t step = std::min(left, slice.size());
    if (step >= kReferenceBytes) {
      Append(Slice{slice.block, slice.begin, slice.begin + step});
    } else {
      Append(slice.data(), step);
    }
    left -= step;
  }
  from.DropFront(count);
}

void SliceQueue::Clear() {
  slices_.clear();
  head_ = 0;
  bytes_ = 0;
  fill_.reset();
}

}  // namespace multigres::rpc
