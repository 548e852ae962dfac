// Cancellation of a request, cooperative: whoever works on it asks, or is told by callback, and winds down in order.
// (The end of a whole task, which unwinds it, is TaskGroup's.)
#pragma once

#include <cstdint>
#include <functional>
#include <list>

namespace multigres {

enum class CancelReason : std::uint8_t {
  kNone,
  kCancelled,  // the peer took its request back, or went away
  kDeadline,   // its time is up
  kShutdown,   // this process is leaving
};

// Lives on one reactor. The first Cancel() wins.
class CancelToken {
 public:
  CancelToken() = default;
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  bool IsCancelled() const { return reason_ != CancelReason::kNone; }
  CancelReason reason() const { return reason_; }
  void Cancel(CancelReason reason);

  // Unsubscribes when destroyed. Must not outlive the token.
  class [[nodiscard]] Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&& other) noexcept;
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription() { Reset(); }
    void Reset();

   private:
    friend class CancelToken;
    using Callbacks = std::list<std::move_only_function<void(CancelReason)>>;
    Subscription(CancelToken* token, Callbacks::iterator it) : token_(token), it_(it) {}
    CancelToken* token_ = nullptr;
    Callbacks::iterator it_;
  };
  // Runs inside Cancel(); at once, inside OnCancel(), if that has happened already.
  Subscription OnCancel(std::move_only_function<void(CancelReason)> callback);

 private:
  CancelReason reason_ = CancelReason::kNone;
  Subscription::Callbacks callbacks_;
};

}  // namespace multigres
