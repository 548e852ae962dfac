// pgctld's own flags, and what they amount to.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/servenv/flags.h"
#include "services/pgctld/options.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

struct Flags {
  std::string pooler_dir;
  std::string data_dir;  // PGDATA
  std::string bin_dir;
  std::uint16_t port = 5432;
  std::string user = "postgres";
  std::string database = "postgres";
  std::string listen_addresses = "*";
  std::int32_t timeout_s = 30;
  std::string password_file;
  std::string hba_template;
  std::string config_template;
  std::vector<std::string> replication_hosts;
  std::string initdb_args;
  std::vector<std::string> initdb_sql_dirs;
  std::vector<std::string> initdb_sql_files;
  std::string initdb_extra_conf;
  std::string secrets_file;
  // Taken for the sake of one command line for all versions; backups are not built in.
  std::int32_t pgbackrest_port = 0;
  std::string pgbackrest_cert_dir;
};

void RegisterFlags(servenv::FlagSet& flags, Flags* values);

using GetEnv = std::function<const char*(const char*)>;
// Finds programs and the password: --pg-password-file over POSTGRES_PASSWORD. INVALID_ARGUMENT, NOT_FOUND with one
// sentence that says what to do.
Result<PostgresOptions> Resolve(const Flags& flags, const GetEnv& getenv);

}  // namespace multigres::pgctld
