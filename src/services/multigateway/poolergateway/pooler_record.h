// What routing knows about a pooler.
#pragma once

#include <cstdint>
#include <string>

#include "tools/clock/clock.h"

namespace multigres::gateway::poolergateway {

// From its topology record.
struct PoolerRecord {
  std::string id;  // "multipooler-zone1-x7k2"
  std::string cell;
  std::string database;
  std::string table_group;
  std::string shard;
  std::string address;  // "host:port" of its gRPC server

  bool operator==(const PoolerRecord&) const = default;
};

enum class Serving : std::uint8_t { kServing, kDisabled, kDraining };

// A rule's number: coordinator term first.
struct RuleOrder {
  std::int64_t coordinator_term = 0;
  std::int64_t leader_subterm = 0;

  auto operator<=>(const RuleOrder&) const = default;
};

// From its health stream.
struct PoolerHealth {
  bool live = false;  // the stream is up and not stale; otherwise the rest is what it said last
  Serving serving = Serving::kDisabled;
  bool primary = false;  // says that it is the writable leader, under this rule
  RuleOrder rule;
  Duration replication_lag{0};  // 0 = unknown or none

  bool operator==(const PoolerHealth&) const = default;
};

}  // namespace multigres::gateway::poolergateway
