// What a gateway is told at its start.
#pragma once

#include <cstdint>
#include <string>

#include "tools/clock/clock.h"

namespace multigres::gateway {

struct Config {
  std::string cell;
  std::string service_id;
  std::uint16_t pg_port = 5432;
  std::uint16_t pg_replica_port = 0;  // 0 = off
  std::string pg_bind_address = "0.0.0.0";
  std::string pg_tls_cert_file;
  std::string pg_tls_key_file;
  bool pg_require_ssl = false;
  Duration authentication_timeout = std::chrono::minutes(1);  // 0 = a minute, negative = none
  Duration statement_timeout{0};                              // 0 = the server's own
  std::uint64_t plan_cache_memory = 4194304;                  // bytes over all reactors; 0 = off
  std::int64_t low_replication_lag_ms = 30000;
  std::int64_t high_replication_lag_tolerance_ms = 0;  // 0 = none
};

}  // namespace multigres::gateway
