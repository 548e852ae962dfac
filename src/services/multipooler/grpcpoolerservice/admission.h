// Which requests a pooler takes, by what it serves and whether it is leaving.
#pragma once

#include <string>

#include "services/multipooler/manager/serving.h"
#include "tools/result/error.h"

namespace query {
class Target;
}

namespace multigres::pooler::grpcpoolerservice {

enum class RequestKind : std::uint8_t {
  kExisting,  // on a reserved connection
  kSingle,    // one statement by itself
  kNew,       // makes a reservation
};

// What this pooler is there for.
struct ServedShard {
  std::string database;
  std::string table_group;
  std::string shard;
};

// While draining the pooler first finishes what its reservations began and still takes single statements (drain 1),
// then finishes those (drain 2).
enum class Phase : std::uint8_t { kServing, kDrainReservations, kDrainStatements, kNotServing };

// One reactor's copy of the serving state: read by every request, without a lock, written by message.
class Admission {
 public:
  explicit Admission(ServedShard shard) : shard_(std::move(shard)) {}

  // MTD01 for another shard, INVALID_ARGUMENT for type DRAINED; MTF01 while the kind isn't taken, or if PRIMARY is
  // asked for and this isn't the leader (an existing reservation goes on all the same). MTF01 for an existing
  // reservation is nothing to tell a client: it's in the midst of something that is over now.
  Result<> StartRequest(const ::query::Target& target, RequestKind kind) const;
  // For calls that name no target: the phase alone.
  Result<> StartRequest(RequestKind kind) const;

  void Set(Phase phase, manager::RoutingRole role) {
    phase_ = phase;
    role_ = role;
  }
  Phase phase() const { return phase_; }
  manager::RoutingRole role() const { return role_; }

 private:
  ServedShard shard_;
  Phase phase_ = Phase::kNotServing;
  manager::RoutingRole role_ = manager::RoutingRole::kUnknown;
};

}  // namespace multigres::pooler::grpcpoolerservice
