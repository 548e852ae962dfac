#include "common/pgwire/byte_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tools/result/check.h"

namespace multigres::pgwire {

namespace {

constexpr std::size_t kSmallest = 512;

}  // namespace

ByteBuffer::ByteBuffer(ByteBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

ByteBuffer& ByteBuffer::operator=(ByteBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

ByteBuffer::~ByteBuffer() {
  std::free(data_);
}

void ByteBuffer::Grow(std::size_t count) {
  const std::size_t content = size();
  // Moving the content to the front pays if at least as much again is free there.
  if (begin_ >= content && capacity_ - content >= count) {
    if (content > 0) std::memcpy(data_, data_ + begin_, content);
  } else {
    const std::size_t capacity = std::max({kSmallest, content + count, capacity_ + capacity_ / 2});
    auto* data = static_cast<char*>(std::malloc(capacity));
    CHECK(data != nullptr, "out of memory");
    if (content > 0) std::memcpy(data, data_ + begin_, content);
    std::free(data_);
    data_ = data;
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = content;
}

void ByteBuffer::Overwrite(std::size_t offset, std::string_view bytes) {
  CHECK(offset + bytes.size() <= size());
  std::memcpy(data_ + begin_ + offset, bytes.data(), bytes.size());
}

void ByteBuffer::Consume(std::size_t count) {
  CHECK(count <= size());
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

void ByteBuffer::Release() {
  std::free(data_);
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

}  // namespace multigres::pgwire
