// Sessions' own connections: borrowed for longer than a statement, found again by number.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "services/multipooler/connpool/user_pool.h"

namespace multigres::pooler::executor {

// query.ReservationOptions.reasons; the numbers are the contract's ReservationReason.
namespace reason {
inline constexpr std::uint32_t kTransaction = 1;
inline constexpr std::uint32_t kTempTable = 2;
inline constexpr std::uint32_t kPortal = 4;
inline constexpr std::uint32_t kCopy = 8;
inline constexpr std::uint32_t kListen = 16;
inline constexpr std::uint32_t kLogicalReplication = 32;
inline constexpr std::uint32_t kSessionAdvisoryLock = 64;
inline constexpr std::uint32_t kSetSeed = 128;
inline constexpr std::uint32_t kAll = 255;
// Those that a statement adds and loses again if it fails.
inline constexpr std::uint32_t kStatementLocal = kTempTable | kPortal;
}  // namespace reason

struct Reservation {
  std::uint64_t id = 0;  // 0 = not in the table (yet)
  std::string user;
  connpool::Lease lease;
  std::uint32_t reasons = 0;
  std::uint32_t ever = 0;  // all reasons that it ever had: what must be cleaned away in the end
  std::set<std::string> pinned_portals;
  std::set<std::string> open_portals;  // named ones that were bound in the transaction that runs
  bool pipeline_open = false;          // an implicit transaction is kept open by Flush (hold_sync)
  bool busy = false;                   // an operation runs
  bool killed = false;                 // gone from the table; the operation that runs closes it
  Event freed;
  TimePoint expires;
};

// Those of one reactor. Numbers are never 0 and never given twice, not after a restart of the process either (they
// begin at the time of its start); the low byte names the reactor.
class ReservationTable {
 public:
  ReservationTable(Reactor& reactor, std::uint8_t reactor_index, Duration inactivity_timeout);
  ~ReservationTable();

  static std::uint8_t ReactorIndexOf(std::uint64_t id) { return static_cast<std::uint8_t>(id); }

  // Numbers the reservation and makes it findable.
  void Add(const std::shared_ptr<Reservation>& reservation);
  // By user and number; puts the inactivity timeout off. Null if there is none (any more).
  std::shared_ptr<Reservation> Find(const std::string& user, std::uint64_t id);
  void Remove(Reservation& reservation);
  // Marks it, cancels what runs there by closing the connection, and forgets it.
  void Kill(Reservation& reservation);
  std::size_t KillAll();
  // Kills those that nobody has used for the timeout. One with an operation running isn't idle; nor is one that waits
  // for notifications or replicates.
  std::size_t KillExpired();

  std::size_t size() const { return by_id_.size(); }
  // Runs when the last one is gone.
  Event& empty() { return empty_; }

 private:
  Reactor& reactor_;
  const std::uint8_t reactor_index_;
  const Duration inactivity_timeout_;
  std::uint64_t next_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Reservation>> by_id_;
  Event empty_{true};
};

}  // namespace multigres::pooler::executor
