// Contiguous bytes that grow at the end and are consumed at the front.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace multigres::pgwire {

// Memory isn't initialised before it is written. Views into it are good until the next Prepare(), Append() or
// Release().
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept;
  ByteBuffer& operator=(ByteBuffer&& other) noexcept;
  ~ByteBuffer();

  std::string_view view() const { return {data_ + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  std::size_t capacity() const { return capacity_; }

  // Room for at least `count` bytes behind the content (all there is), to be filled and then Commit()ted.
  std::span<char> Prepare(std::size_t count) {
    if (capacity_ - end_ < count) Grow(count);
    return {data_ + end_, capacity_ - end_};
  }
  void Commit(std::size_t count) { end_ += count; }
  void Append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(Prepare(bytes.size()).data(), bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  // Overwrites bytes that are there already; `offset` counts from the front of view().
  void Overwrite(std::size_t offset, std::string_view bytes);
  // Drops bytes from the front; the memory stays.
  void Consume(std::size_t count);
  // Drops bytes from the end: the content becomes `size` bytes.
  void Truncate(std::size_t size) { end_ = begin_ + size; }
  void Clear() { begin_ = end_ = 0; }
  // Clear() that gives the memory back: for connections that go idle.
  void Release();

 private:
  void Grow(std::size_t count);

  char* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace multigres::pgwire
