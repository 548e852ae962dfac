// What a session has set, as a pooled backend wears it: canonical, interned, compared by pointer.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace multigres::pooler::connpool {

class SettingsLabel {
 public:
  using Entries = std::vector<std::pair<std::string, std::string>>;

  // `entries` sorted by name, names in ASCII lower case.
  explicit SettingsLabel(Entries entries);

  const Entries& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  // Unambiguous: every part is prefixed with its length, so no two maps share a key.
  const std::string& key() const { return key_; }
  // The SQL that puts the settings on a clean backend; empty for the empty label. Names and values are quoted as
  // literals.
  const std::string& apply_sql() const { return apply_sql_; }
  // Statements for role and session_authorization, which a transaction's end can undo: repeated at every checkout.
  const std::string& identity_sql() const { return identity_sql_; }

 private:
  Entries entries_;
  std::string key_;
  std::string apply_sql_;
  std::string identity_sql_;
};

using LabelRef = std::shared_ptr<const SettingsLabel>;

inline constexpr std::string_view kApplicationName = "application_name";

// Puts a backend back to what its role and database say.
inline constexpr std::string_view kResetSql = "RESET ROLE; RESET SESSION AUTHORIZATION; RESET ALL";

// Interns labels, least recently used out first. Labels still worn by a backend live on without the cache; an equal
// label made later is then another pointer, which costs one needless switch and nothing else. One reactor.
class LabelCache {
 public:
  explicit LabelCache(std::size_t capacity) : capacity_(capacity) {}

  // The label of a settings map (any iterable of name/value pairs). Of names that differ in case only, the last one
  // counts. application_name isn't part of it: it would split the pool by a name that changes nothing (Backend).
  template <class Map>
  LabelRef Intern(const Map& settings) {
    SettingsLabel::Entries entries;
    entries.reserve(settings.size());
    for (const auto& [name, value] : settings) entries.emplace_back(name, value);
    return InternEntries(std::move(entries));
  }
  std::size_t size() const { return by_key_.size(); }

 private:
  LabelRef InternEntries(SettingsLabel::Entries entries);

  std::size_t capacity_;
  std::list<LabelRef> recent_;  // front = last used
  std::unordered_map<std::string_view, std::list<LabelRef>::iterator> by_key_;
};

}  // namespace multigres::pooler::connpool
