// Reading a message body: a cursor whose every step is checked, and views of the arrays that messages hold.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::pgwire {

// Reads big-endian integers, strings and byte runs. A step beyond the end makes the reader fail for good and gives
// zero or nothing; the caller asks once, at the end: Done("Bind").
class WireReader {
 public:
  explicit WireReader(std::string_view body) : rest_(body) {}

  std::uint8_t Byte();
  std::uint16_t Int16();
  std::uint32_t Int32();
  std::uint64_t Int64();
  // Up to the NUL, which is consumed.
  std::string_view CString();
  std::string_view Bytes(std::size_t count);
  // Length word and bytes; -1 = NULL. Any other negative length fails.
  std::optional<std::string_view> Field();
  std::string_view Rest();

  bool ok() const { return ok_; }
  std::size_t remaining() const { return rest_.size(); }
  void FailNow() {
    ok_ = false;
    rest_ = {};
  }
  // 08P01 `invalid <message> message` if a step failed or bytes are left over.
  Result<> Done(std::string_view message) const;

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// 08P01 `invalid <message> message`.
Error InvalidMessage(std::string_view message);

// An array of big-endian integers inside a message.
template <class T>
class IntList {
 public:
  IntList() = default;
  explicit IntList(std::string_view raw) : raw_(raw) {}

  std::size_t size() const { return raw_.size() / sizeof(T); }
  bool empty() const { return raw_.empty(); }
  T operator[](std::size_t index) const {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value << 8 | static_cast<std::uint8_t>(raw_[index * sizeof(T) + i]));
    }
    return value;
  }

 private:
  std::string_view raw_;
};
using Int16List = IntList<std::uint16_t>;
using Int32List = IntList<std::uint32_t>;

// A counted run of (length word, bytes) inside a message: the columns of a DataRow, the parameters of a Bind. Whole by
// construction (ReadFieldList).
class FieldList {
 public:
  class Iterator {
   public:
    using value_type = std::optional<std::string_view>;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    explicit Iterator(std::string_view rest) : rest_(rest) {}
    value_type operator*() const { return WireReader(rest_).Field(); }
    Iterator& operator++() {
      WireReader reader(rest_);
      reader.Field();
      rest_ = reader.Rest();
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return rest_.size() == other.rest_.size(); }

   private:
    std::string_view rest_;
  };

  FieldList() = default;
  FieldList(std::uint16_t count, std::string_view raw) : count_(count), raw_(raw) {}

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  Iterator begin() const { return Iterator(raw_); }
  Iterator end() const { return Iterator(std::string_view()); }
  // The bytes as they are in the message, length words included.
  std::string_view raw() const { return raw_; }

 private:
  std::uint16_t count_ = 0;
  std::string_view raw_;
};

// Reads a 16-bit count and what it counts.
Int16List ReadInt16List(WireReader& reader);
Int32List ReadInt32List(WireReader& reader);
FieldList ReadFieldList(WireReader& reader);

}  // namespace multigres::pgwire
