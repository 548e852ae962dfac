// A FIFO of slices: what a stream or a connection still has to send.
#pragma once

#include <vector>

#include "common/rpc/block.h"

namespace multigres::rpc {

class SliceQueue {
 public:
  bool empty() const { return bytes_ == 0; }
  std::size_t bytes() const { return bytes_; }
  std::size_t count() const { return slices_.size() - head_; }
  const Slice& operator[](std::size_t index) const { return slices_[head_ + index]; }

  // Room for `count` contiguous bytes at the end, to be filled by the caller now.
  std::uint8_t* Extend(std::size_t count);
  void Append(const std::uint8_t* bytes, std::size_t count);
  // Shares the slice's block.
  void Append(Slice slice);
  void DropFront(std::size_t count);
  // Moves `count` bytes from the front of `from` to the end of this queue; long slices by reference, short ones by
  // copy.
  void MoveFrom(SliceQueue& from, std::size_t count);
  void Clear();

 private:
  std::vector<Slice> slices_;
  std::size_t head_ = 0;  // slices before it are gone
  std::size_t bytes_ = 0;
  // The block that Extend() fills; only bytes after its size are written, so that shared slices of it stay as they are.
  BlockPtr fill_;
};

}  // namespace multigres::rpc
