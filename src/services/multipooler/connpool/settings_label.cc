#include "services/multipooler/connpool/settings_label.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "common/pgclient/query.h"

namespace multigres::pooler::connpool {

namespace {

char LowerAscii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Sorted by folded name; of equal names the last one stays.
SettingsLabel::Entries Canonical(SettingsLabel::Entries entries) {
  std::map<std::string, std::string> sorted;
  for (auto& [name, value] : entries) {
    std::transform(name.begin(), name.end(), name.begin(), LowerAscii);
    if (name != kApplicationName) sorted.insert_or_assign(std::move(name), std::move(value));
  }
  return {std::make_move_iterator(sorted.begin()), std::make_move_iterator(sorted.end())};
}

std::string KeyOf(const SettingsLabel::Entries& entries) {
  std::string key;
  for (const auto& [name, value] : entries) {
    key.append(std::to_string(name.size())).append(":").append(name);
    key.append(std::to_string(value.size())).append(":").append(value);
  }
  return key;
}

using pgclient::QuoteLiteral;

bool IsIdentity(std::string_view name) {
  return name == "role" || name == "session_authorization";
}

bool IsNoRole(std::string_view name, std::string_view value) {
  return name == "role" && value == "none";
}

}  // namespace

SettingsLabel::SettingsLabel(Entries entries) : entries_(std::move(entries)), key_(KeyOf(entries_)) {
  for (const auto& [name, value] : entries_) {
    if (IsIdentity(name)) continue;
    apply_sql_.append(apply_sql_.empty() ? "SELECT " : ", ");
    apply_sql_.append("pg_catalog.set_config(").append(QuoteLiteral(name)).append(", ").append(QuoteLiteral(value));
    apply_sql_.append(", false)");
  }
  // The session user first: setting it clears the role.
  for (const std::string_view wanted : {std::string_view("session_authorization"), std::string_view("role")}) {
    for (const auto& [name, value] : entries_) {
      if (name != wanted || IsNoRole(name, value)) continue;
      if (!identity_sql_.empty()) identity_sql_.append("; ");
      identity_sql_.append(name == "role" ? "SET ROLE " : "SET SESSION AUTHORIZATION ").append(QuoteLiteral(value));
    }
  }
  if (!identity_sql_.empty()) {
    if (!apply_sql_.empty()) apply_sql_.append("; ");
    apply_sql_.append(identity_sql_);
  }
}

LabelRef LabelCache::InternEntries(SettingsLabel::Entries entries) {
  auto label = std::make_shared<const SettingsLabel>(Canonical(std::move(entries)));
  if (auto it = by_key_.find(label->key()); it != by_key_.end()) {
    recent_.splice(recent_.begin(), recent_, it->second);
    return *it->second;
  }
  recent_.push_front(label);
  by_key_.emplace(label->key(), recent_.begin());
  if (by_key_.size() > capacity_) {
    by_key_.erase(recent_.back()->key());
    recent_.pop_back();
  }
  return label;
}

}  // namespace multigres::pooler::connpool
