// Locks of the topology store. Each lives on a lease that is kept alive for the whole hold.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tools/async/awaitable.h"
#include "tools/async/event.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::topo {

struct CallContext;

enum class LockMode : std::uint8_t {
  kQueue,     // puts <path>/locks/<lease id> and waits until no older key is left
  kTry,       // kNodeExists at once if <path> is locked, else as kQueue (check, then queue: a race is tolerated)
  kExactKey,  // creates exactly `path`, or kNodeExists at once
};

struct LockRequest {
  std::string path;
  std::string contents;  // LockContents(...)
  LockMode mode = LockMode::kQueue;
  // kQueue and kTry: kNoNode unless something exists below `path`. Named locks need nothing there.
  bool require_directory = true;
  std::optional<Duration> ttl;  // the backend's lease ttl (30 s) unless set; named locks use kNamedLockTtl
};
inline constexpr Duration kNamedLockTtl = std::chrono::hours(24);

// A held lock. Destroyed without Unlock(): the lease is no longer renewed and runs out by itself.
class Lock {
 public:
  virtual ~Lock() = default;
  // Renews the lease; fails if the lock has been lost (revoked, expired).
  virtual Awaitable<Result<>> Check(CallContext context) = 0;
  // Frees the lock. A second call fails (kNoNode) and never frees another holder's.
  virtual Awaitable<Result<>> Unlock(CallContext context) = 0;
  // Set as soon as the loss of the lease is noticed. Lives as long as the lock.
  virtual Event& lost() = 0;
  virtual const std::string& key() const = 0;
};

// The JSON stored as a lock's value: who holds it, why, since when.
std::string LockContents(std::string_view action, WallTime now);

}  // namespace multigres::topo
