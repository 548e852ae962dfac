#include "services/multipooler/executor/reservation.h"

#include <vector>

namespace multigres::pooler::executor {

namespace {

std::uint64_t FirstNumber(WallTime now) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count());
}

}  // namespace

ReservationTable::ReservationTable(Reactor& reactor, std::uint8_t reactor_index, Duration inactivity_timeout)
    : reactor_(reactor),
      reactor_index_(reactor_index),
      inactivity_timeout_(inactivity_timeout),
      next_(FirstNumber(reactor.clock().WallNow())) {}

ReservationTable::~ReservationTable() = default;

void ReservationTable::Add(const std::shared_ptr<Reservation>& reservation) {
  reservation->id = next_++ << 8 | reactor_index_;
  reservation->expires = reactor_.clock().Now() + inactivity_timeout_;
  by_id_.emplace(reservation->id, reservation);
  empty_.Reset();
}

std::shared_ptr<Reservation> ReservationTable::Find(const std::string& user, std::uint64_t id) {
  auto it = by_id_.find(id);
  if (it == by_id_.end() || it->second->user != user) return nullptr;
  it->second->expires = reactor_.clock().Now() + inactivity_timeout_;
  return it->second;
}

void ReservationTable::Remove(Reservation& reservation) {
  by_id_.erase(reservation.id);
  if (by_id_.empty()) empty_.Set();
}

void ReservationTable::Kill(Reservation& reservation) {
  auto it = by_id_.find(reservation.id);
  if (it == by_id_.end()) return;
  const auto kept = it->second;
  kept->killed = true;
  if (kept->busy) {
    // Whoever works on it finds the connection broken, and gives it up.
    kept->lease->connection->Close();
  } else {
    kept->lease.Close();
  }
  Remove(*kept);
}

std::size_t ReservationTable::KillAll() {
  std::vector<std::shared_ptr<Reservation>> all;
  all.reserve(by_id_.size());
  for (const auto& [id, reservation] : by_id_) all.push_back(reservation);
  for (const auto& reservation : all) Kill(*reservation);
  return all.size();
}

std::size_t ReservationTable::KillExpired() {
  if (inactivity_timeout_ == Duration::zero()) return 0;
  const TimePoint now = reactor_.clock().Now();
  std::vector<std::shared_ptr<Reservation>> expired;
  for (const auto& [id, reservation] : by_id_) {
    const bool exempt =
        reservation->busy || (reservation->reasons & (reason::kListen | reason::kLogicalReplication)) != 0;
    if (!exempt && reservation->expires <= now) expired.push_back(reservation);
  }
  for (const auto& reservation : expired) Kill(*reservation);
  return expired.size();
}

}  // namespace multigres::pooler::executor
