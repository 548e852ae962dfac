// What a gateway is told at its start.
#pragma once

#include <cstdint>
#include <string>

#include "services/multigateway/buffer/config.h"
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
  buffer::BufferConfig buffer;
  // Of health streams that have ended.
  Duration health_reconnect_base = std::chrono::milliseconds(100);
  Duration health_reconnect_max = std::chrono::seconds(60);
  // Of connections to poolers. A pooler that is restarted is back within a moment, and clients wait for it: a dial that
  // fails costs less than they do.
  Duration pooler_connect_timeout = std::chrono::seconds(2);
  Duration pooler_reconnect_max = std::chrono::milliseconds(250);
  // After a ping without an answer (sent when nothing has come for 10 s) a connection's calls fail.
  Duration pooler_keepalive_timeout = std::chrono::seconds(2);
  Duration superseded_leader_grace = std::chrono::milliseconds(500);
};

}  // namespace multigres::gateway
