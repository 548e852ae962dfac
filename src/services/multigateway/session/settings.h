// The GUC map of a session: what a backend must have set before a statement of it runs. Immutable and shared, so that
// an unchanged session hands the same object to every statement.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multigres::gateway::session {

class Settings;
using SettingsPtr = std::shared_ptr<const Settings>;

// A GUC's name as PostgreSQL compares it: ASCII letters folded, nothing else.
std::string FoldName(std::string_view name);

class Settings {
 public:
  using Entry = std::pair<std::string, std::string>;

  static SettingsPtr Empty();
  // Names are folded here; a later entry of the same name wins, but keeps the place of the first.
  static SettingsPtr Make(std::vector<Entry> entries);

  // In the order in which they were first set. Names are folded.
  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  // Null if absent. `name` must be folded.
  const std::string* Find(std::string_view name) const;

  SettingsPtr With(std::string name, std::string value) const;
  SettingsPtr Without(std::string_view name) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace multigres::gateway::session
