#include "services/multigateway/session/reported_parameters.h"

#include <algorithm>

#include "services/multigateway/session/settings.h"

namespace multigres::gateway::session {
namespace {

ReportedParameters::Map::const_iterator Find(const ReportedParameters::Map& map, std::string_view name) {
  auto exact = map.find(name);
  if (exact != map.end()) return exact;
  return std::ranges::find_if(map, [folded = FoldName(name)](const auto& entry) {
    return entry.first.size() == folded.size() && FoldName(entry.first) == folded;
  });
}

}  // namespace

ReportedParameters::ReportedParameters(Map at_login)
    : at_login_(std::make_shared<const Map>(std::move(at_login))), now_(at_login_), told_(at_login_) {}

const std::string* ReportedParameters::Get(std::string_view name) const {
  auto it = Find(*now_, name);
  return it == now_->end() ? nullptr : &it->second;
}

void ReportedParameters::Observe(std::string_view name, std::string_view value) {
  auto it = Find(*now_, name);
  if (it == now_->end() || it->second == value) return;
  auto copy = std::make_shared<Map>(*now_);
  copy->find(it->first)->second = value;
  now_ = std::move(copy);
}

void ReportedParameters::Reset(std::string_view name) {
  auto it = Find(*at_login_, name);
  if (it != at_login_->end()) Observe(it->first, it->second);
}

void ReportedParameters::ResetAll() {
  auto copy = std::make_shared<Map>(*at_login_);
  // RESET ALL keeps them.
  for (std::string_view name : {"session_authorization", "is_superuser"}) {
    auto kept = now_->find(name);
    if (kept != now_->end()) copy->insert_or_assign(kept->first, kept->second);
  }
  now_ = std::move(copy);
}

void ReportedParameters::Begin() {
  if (!at_begin_) at_begin_ = now_;
}

void ReportedParameters::Rollback() {
  if (at_begin_) now_ = std::move(at_begin_);
  at_begin_.reset();
}

std::vector<std::pair<std::string, std::string>> ReportedParameters::TakeChanges() {
  std::vector<std::pair<std::string, std::string>> changes;
  if (now_ == told_) return changes;
  for (const auto& [name, value] : *now_) {
    auto told = told_->find(name);
    if (told == told_->end() || told->second != value) changes.emplace_back(name, value);
  }
  told_ = now_;
  return changes;
}

}  // namespace multigres::gateway::session
