// What pgctld is told about its PostgreSQL.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tools/clock/clock.h"

namespace multigres::pgctld {

struct PostgresOptions {
  std::string pooler_dir;  // holds pg_sockets/, pgpass, restore_command.pid, the server's log
  std::string data_dir;    // PGDATA
  std::string bin_dir;     // initdb, postgres, pg_rewind, pg_controldata, psql
  std::uint16_t port = 5432;
  std::string user = "postgres";  // the superuser that initdb makes
  std::string database = "postgres";
  std::string password;  // of that user; empty: nothing that needs to connect works
  std::string listen_addresses = "*";
  Duration timeout = std::chrono::seconds(30);  // default of each start, stop and restart

  std::string config_template_file;  // empty = built in
  std::string hba_template_file;     // empty = built in
  // Addresses (CIDR, or as pg_hba.conf takes them) from which cross-host standbys and rewinds connect, by SCRAM.
  std::vector<std::string> replication_hosts;

  std::vector<std::string> initdb_args;
  std::string initdb_extra_conf;                                     // included at the end of the configuration
  std::vector<std::pair<std::string, std::string>> initdb_sql_dirs;  // (role, folder)
  std::vector<std::string> initdb_sql_files;
  std::string secrets_file;  // SQL that sets passwords

  std::string socket_dir() const { return pooler_dir + "/pg_sockets"; }
  std::string log_file() const { return pooler_dir + "/postgresql.log"; }
  std::string passfile() const { return pooler_dir + "/pgpass"; }
  std::string restore_command_pidfile() const { return pooler_dir + "/restore_command.pid"; }
  std::string Program(std::string_view name) const { return bin_dir + "/" + std::string(name); }
};

}  // namespace multigres::pgctld
