#include "services/multipooler/connpool/prepared_names.h"

namespace multigres::pooler::connpool {

const std::string& StatementNames::NameOf(std::string_view text, std::span<const std::uint32_t> parameter_types) {
  // The text's length first: no text can end in what looks like another's types.
  std::string key = std::to_string(text.size());
  key.append(":").append(text);
  for (const std::uint32_t type : parameter_types) key.append(",").append(std::to_string(type));
  if (auto it = by_key_.find(key); it != by_key_.end()) {
    recent_.splice(recent_.begin(), recent_, it->second);
    return it->second->name;
  }
  recent_.push_front({std::move(key), "ppstmt" + std::to_string(next_++)});
  by_key_.emplace(recent_.front().key, recent_.begin());
  if (by_key_.size() > capacity_) {
    by_key_.erase(recent_.back().key);
    recent_.pop_back();
  }
  return recent_.front().name;
}

bool PreparedSet::Touch(std::string_view name) {
  auto it = by_name_.find(name);
  if (it == by_name_.end()) return false;
  recent_.splice(recent_.begin(), recent_, it->second);
  return true;
}

std::optional<std::string> PreparedSet::Add(std::string name) {
  if (Touch(name)) return std::nullopt;
  recent_.push_front(std::move(name));
  by_name_.emplace(recent_.front(), recent_.begin());
  if (by_name_.size() <= capacity_) return std::nullopt;
  by_name_.erase(recent_.back());
  std::optional<std::string> evicted(std::move(recent_.back()));
  recent_.pop_back();
  return evicted;
}

void PreparedSet::Remove(std::string_view name) {
  auto it = by_name_.find(name);
  if (it == by_name_.end()) return;
  auto entry = it->second;
  by_name_.erase(it);
  recent_.erase(entry);
}

void PreparedSet::Clear() {
  by_name_.clear();
  recent_.clear();
}

}  // namespace multigres::pooler::connpool
