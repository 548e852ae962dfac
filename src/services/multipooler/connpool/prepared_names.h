// Which statements have which name on the server, and which of them one socket has prepared.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace multigres::pooler::connpool {

// Names statements by what they are, so that equal statements of all clients share one: (text, parameter types) ->
// ppstmt<N>. Forgets the least recently used; its number is never given again. One reactor.
class StatementNames {
 public:
  explicit StatementNames(std::size_t capacity) : capacity_(capacity) {}

  // Stable for as long as the statement isn't forgotten.
  const std::string& NameOf(std::string_view text, std::span<const std::uint32_t> parameter_types);
  std::size_t size() const { return by_key_.size(); }

 private:
  struct Entry {
    std::string key;
    std::string name;
  };
  std::size_t capacity_;
  std::uint64_t next_ = 1;
  std::list<Entry> recent_;  // front = last used
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
};

// The names that one socket has prepared, bounded: what falls out must be closed on the server.
class PreparedSet {
 public:
  explicit PreparedSet(std::size_t capacity) : capacity_(capacity) {}

  // True, and most recent now, if prepared.
  bool Touch(std::string_view name);
  // Adds a name; gives the one that fell out for it.
  std::optional<std::string> Add(std::string name);
  void Remove(std::string_view name);
  void Clear();
  std::size_t size() const { return by_name_.size(); }

 private:
  std::size_t capacity_;
  std::list<std::string> recent_;
  std::unordered_map<std::string_view, std::list<std::string>::iterator> by_name_;
};

}  // namespace multigres::pooler::connpool
