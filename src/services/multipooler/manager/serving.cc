#include "services/multipooler/manager/serving.h"

namespace multigres::pooler::manager {

namespace {

std::string_view Name(ServingStatus status) {
  switch (status) {
    case ServingStatus::kServing:
      return "SERVING";
    case ServingStatus::kDisabled:
      return "DISABLED";
    case ServingStatus::kDraining:
      return "DRAINING";
  }
  return "?";
}

std::string_view Name(RoutingRole role) {
  switch (role) {
    case RoutingRole::kUnknown:
      return "UNKNOWN";
    case RoutingRole::kPrimary:
      return "PRIMARY";
    case RoutingRole::kReplica:
      return "REPLICA";
  }
  return "?";
}

}  // namespace

std::string ToString(const ServingState& state) {
  return fmt::format("{} {} {}.{}", Name(state.role), Name(state.status), state.coordinator_term, state.leader_subterm);
}

// `callback` is touched on the listener's reactor alone, where it is also cleared.
struct ServingBoard::Subscription::Listener {
  Reactor* reactor = nullptr;
  std::function<void(const ServingState&)> callback;
};

ServingBoard::~ServingBoard() = default;

ServingState ServingBoard::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void ServingBoard::Notify(const std::shared_ptr<Subscription::Listener>& listener, const ServingState& state) {
  listener->reactor->Post([listener, state] {
    if (listener->callback) listener->callback(state);
  });
}

void ServingBoard::Publish(const ServingState& state) {
  // Posting under the lock keeps the order of states the same for every listener.
  const std::lock_guard lock(mutex_);
  if (state_ == state) return;
  state_ = state;
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    if (auto listener = it->lock()) {
      Notify(listener, state);
      ++it;
    } else {
      it = listeners_.erase(it);
    }
  }
}

ServingBoard::Subscription ServingBoard::Listen(Reactor& reactor, std::function<void(const ServingState&)> callback) {
  Subscription subscription;
  subscription.board_ = this;
  subscription.listener_ = std::make_shared<Subscription::Listener>(
      Subscription::Listener{.reactor = &reactor, .callback = std::move(callback)});
  const std::lock_guard lock(mutex_);
  listeners_.push_back(subscription.listener_);
  Notify(subscription.listener_, state_);
  return subscription;
}

ServingBoard::Subscription& ServingBoard::Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    Reset();
    board_ = std::exchange(other.board_, nullptr);
    listener_ = std::move(other.listener_);
  }
  return *this;
}

void ServingBoard::Subscription::Reset() {
  if (!listener_) return;
  listener_->callback = nullptr;
  listener_.reset();
}

}  // namespace multigres::pooler::manager
