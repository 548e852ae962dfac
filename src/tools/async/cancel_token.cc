#include "tools/async/cancel_token.h"

#include <utility>

namespace multigres {

void CancelToken::Cancel(CancelReason reason) {
  if (IsCancelled()) return;
  reason_ = reason;
  // A callback may drop its own subscription, or another's: the list stays the one that they unlink from, and each
  // entry is emptied before it runs.
  for (auto& callback : callbacks_) {
    if (auto run = std::exchange(callback, nullptr)) run(reason);
  }
}

CancelToken::Subscription CancelToken::OnCancel(std::move_only_function<void(CancelReason)> callback) {
  if (IsCancelled()) {
    callback(reason_);
    return {};
  }
  return {this, callbacks_.insert(callbacks_.end(), std::move(callback))};
}

CancelToken::Subscription::Subscription(Subscription&& other) noexcept
    : token_(std::exchange(other.token_, nullptr)), it_(other.it_) {}

CancelToken::Subscription& CancelToken::Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    Reset();
    token_ = std::exchange(other.token_, nullptr);
    it_ = other.it_;
  }
  return *this;
}

void CancelToken::Subscription::Reset() {
  CancelToken* token = std::exchange(token_, nullptr);
  if (token == nullptr) return;
  // While callbacks run the list is being walked: the entry is emptied only.
  if (token->IsCancelled()) {
    *it_ = nullptr;
  } else {
    token->callbacks_.erase(it_);
  }
}

}  // namespace multigres
