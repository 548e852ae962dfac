#include "services/multigateway/session/settings_stack.h"

#include <algorithm>

namespace multigres::gateway::session {

SettingsStack::SettingsStack(SettingsPtr startup, GatewayVariables variables)
    : startup_(std::move(startup)), now_{startup_, variables, {}} {}

const SettingsPtr& SettingsStack::rollback_settings() const {
  return frames_.empty() ? now_.settings : frames_.front().saved.settings;
}

void SettingsStack::Set(std::string name, std::string value) {
  const std::string* old = now_.settings->Find(name);
  if (old != nullptr && *old == value) return;
  now_.settings = now_.settings->With(std::move(name), std::move(value));
}

void SettingsStack::Reset(std::string_view name) {
  const std::string* at_startup = startup_->Find(name);
  if (at_startup != nullptr) return Set(std::string(name), *at_startup);
  if (now_.settings->Find(name) != nullptr) now_.settings = now_.settings->Without(name);
}

void SettingsStack::ResetAll() {
  SettingsPtr kept = startup_;
  for (std::string_view name : {"session_authorization", "role"}) {
    const std::string* value = now_.settings->Find(name);
    if (value != nullptr) kept = kept->With(std::string(name), *value);
  }
  now_.settings = std::move(kept);
  now_.variables.ResetAll();
}

void SettingsStack::DiscardAll() {
  now_.settings = startup_;
  now_.variables.ResetAll();
  now_.hold_cursors.clear();
}

void SettingsStack::AddHoldCursor(std::string name) {
  if (!RemoveHoldCursor(name)) now_.hold_cursors.reserve(now_.hold_cursors.size() + 1);
  now_.hold_cursors.push_back(std::move(name));
}

bool SettingsStack::RemoveHoldCursor(std::string_view name) {
  return std::erase(now_.hold_cursors, name) > 0;
}

std::vector<std::string> SettingsStack::CursorsOfTransaction() const {
  std::vector<std::string> opened = now_.hold_cursors;
  if (frames_.empty()) return {};
  const auto& before = frames_.front().saved.hold_cursors;
  std::erase_if(opened, [&](const std::string& name) { return std::ranges::find(before, name) != before.end(); });
  return opened;
}

void SettingsStack::Begin() {
  if (frames_.empty()) frames_.push_back({"", now_});
}

void SettingsStack::Commit() {
  frames_.clear();
  now_.variables.DropLocals();
}

void SettingsStack::Rollback() {
  if (frames_.empty()) return;
  std::vector<std::string> open = std::move(now_.hold_cursors);
  now_ = std::move(frames_.front().saved);
  frames_.clear();
  // A cursor that was open at BEGIN and closed since stays closed.
  std::erase_if(now_.hold_cursors,
                [&](const std::string& name) { return std::ranges::find(open, name) == open.end(); });
}

void SettingsStack::Savepoint(std::string name) {
  if (!frames_.empty()) frames_.push_back({std::move(name), now_});
}

std::size_t SettingsStack::FindSavepoint(std::string_view name) const {
  for (std::size_t i = frames_.size(); i > 1; i--) {
    if (frames_[i - 1].savepoint == name) return i - 1;
  }
  return frames_.size();
}

void SettingsStack::Release(std::string_view name) {
  std::size_t index = FindSavepoint(name);
  if (index < frames_.size()) frames_.resize(index);
}

void SettingsStack::RollbackTo(std::string_view name) {
  std::size_t index = FindSavepoint(name);
  if (index >= frames_.size()) return;
  frames_.resize(index + 1);
  std::vector<std::string> open = std::move(now_.hold_cursors);
  now_ = frames_[index].saved;
  std::erase_if(now_.hold_cursors,
                [&](const std::string& name) { return std::ranges::find(open, name) == open.end(); });
}

}  // namespace multigres::gateway::session
