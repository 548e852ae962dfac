// Process ids and cancel keys: how a CancelRequest finds the session that it means.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::gateway::cancel {

// A process id as clients see it: 0 | gateway's prefix (11 bits, 1 to 2047) | session (20 bits, from 1).
inline constexpr std::uint32_t kSessionBits = 20;
inline constexpr std::uint32_t kMaxPrefix = 2047;
constexpr std::uint32_t PrefixOf(std::uint32_t process_id) {
  return process_id >> kSessionBits & kMaxPrefix;
}

// Those of one gateway, over both ports and all reactors. Any thread; touched when sessions begin, end and are
// cancelled.
class CancelRegistry {
 public:
  // A session's entry; gone when this is.
  class [[nodiscard]] Registration {
   public:
    Registration() = default;
    Registration(Registration&& other) noexcept;
    Registration& operator=(Registration&& other) noexcept;
    ~Registration() { Reset(); }
    void Reset();

    std::uint32_t process_id() const { return process_id_; }
    // Secret: for the client alone.
    const std::string& secret_key() const { return secret_key_; }

   private:
    friend class CancelRegistry;
    CancelRegistry* registry_ = nullptr;
    std::uint32_t process_id_ = 0;
    std::string secret_key_;
    std::shared_ptr<bool> alive_;
  };

  CancelRegistry() = default;
  CancelRegistry(const CancelRegistry&) = delete;
  CancelRegistry& operator=(const CancelRegistry&) = delete;

  // Known once the gateway is registered in topology; before that nothing registers. Sessions that are there keep
  // theirs.
  void SetPrefix(std::uint32_t prefix);
  std::uint32_t prefix() const;

  // `cancel` runs on `reactor` (the caller's) and cancels what the session does at that moment, if anything.
  // `key_bytes`: 4 for protocol 3.0, 32 for 3.2. RESOURCE_EXHAUSTED with 53300 when all numbers are in use.
  Result<Registration> Register(Reactor& reactor, std::size_t key_bytes, std::function<void()> cancel);
  // Returns once the session has been told, so that whoever asked can be let go: a statement that its client sends
  // after that isn't hit. False if there is no such session here, or the key is wrong (compared in constant time).
  // `here`: the caller's reactor.
  Awaitable<bool> Cancel(Reactor& here, std::uint32_t process_id, std::string secret_key);
  std::size_t size() const;

 private:
  struct Entry {
    Reactor* reactor;
    std::string secret_key;
    std::function<void()> cancel;
    std::shared_ptr<bool> alive;  // the reactor's thread alone reads and writes what it points to
  };
  void Unregister(std::uint32_t process_id);

  mutable std::mutex mutex_;
  std::uint32_t prefix_ = 0;
  std::uint32_t next_session_ = 1;
  std::unordered_map<std::uint32_t, Entry> entries_;
};

}  // namespace multigres::gateway::cancel
