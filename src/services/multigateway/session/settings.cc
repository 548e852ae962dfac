#include "services/multigateway/session/settings.h"

#include <algorithm>

namespace multigres::gateway::session {

std::string FoldName(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

SettingsPtr Settings::Empty() {
  static const SettingsPtr empty = std::make_shared<const Settings>();
  return empty;
}

SettingsPtr Settings::Make(std::vector<Entry> entries) {
  auto settings = std::make_shared<Settings>();
  for (Entry& entry : entries) {
    std::string name = FoldName(entry.first);
    auto it = std::ranges::find(settings->entries_, name, &Entry::first);
    if (it != settings->entries_.end()) {
      it->second = std::move(entry.second);
    } else {
      settings->entries_.emplace_back(std::move(name), std::move(entry.second));
    }
  }
  return settings;
}

const std::string* Settings::Find(std::string_view name) const {
  auto it = std::ranges::find(entries_, name, &Entry::first);
  return it == entries_.end() ? nullptr : &it->second;
}

SettingsPtr Settings::With(std::string name, std::string value) const {
  auto copy = std::make_shared<Settings>(*this);
  auto it = std::ranges::find(copy->entries_, name, &Entry::first);
  if (it != copy->entries_.end()) {
    it->second = std::move(value);
  } else {
    copy->entries_.emplace_back(std::move(name), std::move(value));
  }
  return copy;
}

SettingsPtr Settings::Without(std::string_view name) const {
  auto copy = std::make_shared<Settings>(*this);
  std::erase_if(copy->entries_, [&](const Entry& entry) { return entry.first == name; });
  return copy;
}

}  // namespace multigres::gateway::session
