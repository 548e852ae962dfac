// Bytes in counted blocks: a message is serialised once into a block and leaves the process from there.
#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cstdint>
#include <cstdlib>
#include <new>

namespace multigres::rpc {

// Fixed capacity, filled from the front, never moved. Counted without atomics: one reactor.
class Block {
 public:
  static boost::intrusive_ptr<Block> Create(std::size_t capacity) {
    void* memory = std::malloc(sizeof(Block) + capacity);
    if (memory == nullptr) throw std::bad_alloc();
    return boost::intrusive_ptr<Block>(new (memory) Block(capacity));
  }

  std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  std::size_t size() const { return size_; }
  std::size_t room() const { return capacity_ - size_; }
  // Takes `count` bytes of the room and returns where they are.
  std::uint8_t* Extend(std::size_t count) {
    std::uint8_t* begin = data() + size_;
    size_ += count;
    return begin;
  }

 private:
  explicit Block(std::size_t capacity) : capacity_(capacity) {}
  friend void intrusive_ptr_add_ref(Block* block) { ++block->references_; }
  friend void intrusive_ptr_release(Block* block) {
    if (--block->references_ == 0) std::free(block);
  }

  std::size_t capacity_;
  std::size_t size_ = 0;
  std::size_t references_ = 0;
};

using BlockPtr = boost::intrusive_ptr<Block>;

// Bytes [begin, end) of a block.
struct Slice {
  BlockPtr block;
  std::size_t begin = 0;
  std::size_t end = 0;

  std::size_t size() const { return end - begin; }
  const std::uint8_t* data() const { return block->data() + begin; }
};

}  // namespace multigres::rpc
