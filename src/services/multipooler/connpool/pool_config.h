// How a pooler reaches its PostgreSQL, and how many connections it keeps for how long.
#pragma once

#include <cstddef>
#include <string>

#include "tools/clock/clock.h"
#include "tools/net/socket.h"

namespace multigres::pooler::connpool {

struct PoolConfig {
  Address address;
  std::string database;
  std::string admin_user = "postgres";
  std::string admin_password;
  std::size_t admin_capacity = 5;     // connections, beyond global_capacity, per process
  std::size_t global_capacity = 100;  // connections of all users
  std::size_t settings_cache_size = 1024;
  std::size_t statement_names = 4096;       // distinct statements remembered per reactor
  std::size_t prepared_per_backend = 1024;  // then the least recently used is closed
  Duration idle_timeout = std::chrono::minutes(5);
  Duration max_lifetime = std::chrono::hours(1);        // plus up to as much again, at random
  Duration inactive_timeout = std::chrono::minutes(5);  // a user without requests for so long is forgotten
  Duration dial_timeout = std::chrono::seconds(5);      // connecting and authenticating may take twice that
};

}  // namespace multigres::pooler::connpool
