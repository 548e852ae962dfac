#include "services/multigateway/cancel/cancel_registry.h"

#include <utility>

#include "common/auth/scram_verifier.h"
#include "common/auth/secret.h"
#include "tools/result/check.h"

namespace multigres::gateway::cancel {

namespace {
constexpr std::uint32_t kSessions = std::uint32_t{1} << kSessionBits;

Awaitable<void> Tell(std::function<void()> cancel, std::shared_ptr<bool> alive) {
  if (*alive) cancel();
  co_return;
}

}  // namespace

CancelRegistry::Registration::Registration(Registration&& other) noexcept
    : registry_(std::exchange(other.registry_, nullptr)),
      process_id_(other.process_id_),
      secret_key_(std::move(other.secret_key_)),
      alive_(std::move(other.alive_)) {}

CancelRegistry::Registration& CancelRegistry::Registration::operator=(Registration&& other) noexcept {
  if (this != &other) {
    Reset();
    registry_ = std::exchange(other.registry_, nullptr);
    process_id_ = other.process_id_;
    secret_key_ = std::move(other.secret_key_);
    alive_ = std::move(other.alive_);
  }
  return *this;
}

void CancelRegistry::Registration::Reset() {
  CancelRegistry* registry = std::exchange(registry_, nullptr);
  if (registry == nullptr) return;
  // A cancel that is on its way to this reactor finds nobody.
  *alive_ = false;
  registry->Unregister(process_id_);
  auth::Wipe(secret_key_);
}

void CancelRegistry::SetPrefix(std::uint32_t prefix) {
  CHECK(prefix >= 1 && prefix <= kMaxPrefix);
  const std::lock_guard lock(mutex_);
  prefix_ = prefix;
}

std::uint32_t CancelRegistry::prefix() const {
  const std::lock_guard lock(mutex_);
  return prefix_;
}

Result<CancelRegistry::Registration> CancelRegistry::Register(Reactor& reactor, std::size_t key_bytes,
                                                              std::function<void()> cancel) {
  Registration registration;
  registration.secret_key_ = auth::RandomBytes(key_bytes);
  registration.alive_ = std::make_shared<bool>(true);
  const std::lock_guard lock(mutex_);
  if (prefix_ == 0) return Fail(Code::kUnavailable, "57P03", "the gateway is starting up");
  if (entries_.size() >= kSessions - 1) {
    return Fail(Code::kResourceExhausted, "53300", "sorry, too many clients already");
  }
  std::uint32_t process_id = 0;
  do {
    process_id = prefix_ << kSessionBits | next_session_;
    next_session_ = next_session_ + 1 == kSessions ? 1 : next_session_ + 1;
  } while (entries_.contains(process_id));
  entries_.emplace(process_id, Entry{&reactor, registration.secret_key_, std::move(cancel), registration.alive_});
  registration.registry_ = this;
  registration.process_id_ = process_id;
  return registration;
}

void CancelRegistry::Unregister(std::uint32_t process_id) {
  const std::lock_guard lock(mutex_);
  auto it = entries_.find(process_id);
  if (it == entries_.end()) return;
  auth::Wipe(it->second.secret_key);
  entries_.erase(it);
}

Awaitable<bool> CancelRegistry::Cancel(Reactor& here, std::uint32_t process_id, std::string secret_key) {
  Reactor* reactor = nullptr;
  std::function<void()> cancel;
  std::shared_ptr<bool> alive;
  {
    const std::lock_guard lock(mutex_);
    auto it = entries_.find(process_id);
    if (it == entries_.end() || !auth::ConstantTimeEqual(it->second.secret_key, secret_key)) co_return false;
    reactor = it->second.reactor;
    cancel = it->second.cancel;
    alive = it->second.alive;
  }
  co_await RunOn<void>(here, *reactor, [cancel = std::move(cancel), alive = std::move(alive)]() -> Awaitable<void> {
    return Tell(cancel, alive);
  });
  co_return true;
}

std::size_t CancelRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace multigres::gateway::cancel
