// The latest value of something, written on one reactor and heard on any.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>

#include "tools/async/reactor.h"

namespace multigres::pooler::manager {

template <class T>
class Published {
 public:
  Published() = default;
  explicit Published(T initial) : value_(std::move(initial)) {}
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

 private:
  // `callback` is touched on the listener's reactor alone, where it is also cleared.
  struct Listener {
    Reactor* reactor = nullptr;
    std::function<void(const T&)> callback;
  };

 public:
  // From any thread.
  T value() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

  // By the one writer. Posting under the lock keeps the order the same for every listener.
  void Publish(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
    for (auto it = listeners_.begin(); it != listeners_.end();) {
      if (auto listener = it->lock()) {
        Notify(listener, value_);
        ++it;
      } else {
        it = listeners_.erase(it);
      }
    }
  }

  // Unsubscribes when destroyed, which must happen on the listener's reactor; no callback runs afterwards.
  class [[nodiscard]] Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&&) noexcept = default;
    Subscription& operator=(Subscription&& other) noexcept {
      if (this != &other) {
        Reset();
        listener_ = std::move(other.listener_);
      }
      return *this;
    }
    ~Subscription() { Reset(); }
    void Reset() {
      if (!listener_) return;
      listener_->callback = nullptr;
      listener_.reset();
    }

   private:
    friend class Published;
    std::shared_ptr<Listener> listener_;
  };

  // Runs on `reactor`, first soon with the current value, then after each change (the last one always arrives). Call it
  // on that reactor.
  Subscription Listen(Reactor& reactor, std::function<void(const T&)> callback) {
    Subscription subscription;
    subscription.listener_ = std::make_shared<Listener>(Listener{.reactor = &reactor, .callback = std::move(callback)});
    const std::lock_guard lock(mutex_);
    listeners_.push_back(subscription.listener_);
    Notify(subscription.listener_, value_);
    return subscription;
  }

 private:
  static void Notify(const std::shared_ptr<Listener>& listener, const T& value) {
    listener->reactor->Post([listener, value] {
      if (listener->callback) listener->callback(value);
    });
  }

  mutable std::mutex mutex_;
  T value_{};
  std::list<std::weak_ptr<Listener>> listeners_;
};

}  // namespace multigres::pooler::manager
