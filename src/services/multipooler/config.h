// What a pooler is told at its start.
#pragma once

#include <cstdint>
#include <string>

#include "tools/clock/clock.h"
#include "tools/net/socket.h"
#include "tools/result/error.h"

namespace multigres::pooler {

struct Config {
  std::string cell;
  std::string service_id;
  std::string database = "postgres";
  std::string table_group;
  std::string shard;
  std::string pgctld_addr = "localhost:15470";
  std::string socket_file;  // PostgreSQL's unix socket; empty = TCP on localhost
  std::string pooler_dir;
  std::string data_dir;  // PGDATA; empty = pg_data in pooler_dir
  std::string pg_bin_dir;
  std::uint16_t pg_port = 5432;
  std::int64_t heartbeat_interval_ms = 200;
  Duration probe_interval = std::chrono::milliseconds(200);
  Duration unready_timeout = std::chrono::seconds(1);
  Duration monitor_interval = std::chrono::seconds(5);
  Duration unrecoverable_timeout{0};  // 0 = no quarantine
  std::int32_t unrecoverable_min_attempts = 3;
  bool fresh_identity = false;
  std::string admin_user = "postgres";
  std::string admin_password;
  std::string admin_password_file;
  std::uint32_t admin_capacity = 5;
  std::uint32_t global_capacity = 100;
  std::uint32_t settings_cache_size = 1024;
  Duration idle_timeout = std::chrono::minutes(5);
  Duration max_lifetime = std::chrono::hours(1);
  Duration inactive_timeout = std::chrono::minutes(5);
  Duration dial_timeout = std::chrono::seconds(5);
  Duration drain_grace_period = std::chrono::seconds(3);
  Duration reserved_inactivity_timeout = std::chrono::seconds(30);
  Duration health_stream_staleness_timeout{0};  // 0 = 90 s
};

// Fills in what follows from the rest (data_dir, admin_password from its file) and refuses what doesn't make sense.
Result<> Complete(Config& config);

// How the pooler reaches its PostgreSQL.
Address PostgresAddress(const Config& config);

}  // namespace multigres::pooler
