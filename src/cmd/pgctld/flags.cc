#include "cmd/pgctld/flags.h"

#include <filesystem>
#include <sstream>

#include "tools/fs/file.h"
#include "tools/process/find_program.h"

namespace multigres::pgctld {

namespace {

Result<std::string> Password(const Flags& flags, const GetEnv& getenv) {
  if (!flags.password_file.empty()) {
    auto text = fs::ReadFile(flags.password_file);
    if (!text) return Fail(std::move(text), "--pg-password-file");
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    if (text->empty()) return Fail(Code::kInvalidArgument, "the password file " + flags.password_file + " is empty");
    return text;
  }
  const char* password = getenv("POSTGRES_PASSWORD");
  if (password == nullptr) return std::string();
  if (*password == '\0') return Fail(Code::kInvalidArgument, "POSTGRES_PASSWORD is set but empty");
  return std::string(password);
}

std::string Absolute(const std::string& path) {
  if (path.empty()) return path;
  std::string absolute = std::filesystem::absolute(path).lexically_normal().string();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

}  // namespace

void RegisterFlags(servenv::FlagSet& flags, Flags* values) {
  flags.Add("pooler-dir", &values->pooler_dir, "folder of this PostgreSQL's pooler: sockets, log, passfile",
            {.env = "", .required = true});
  flags.Add("pg-data-dir", &values->data_dir, "data directory of PostgreSQL", {.env = "PGDATA", .required = true});
  flags.Add("pg-bin-dir", &values->bin_dir, "folder of PostgreSQL's programs; found by itself unless given");
  flags.Add("pg-port", &values->port, "PostgreSQL's port");
  flags.Add("pg-user", &values->user, "superuser that init creates", {.env = "POSTGRES_USER"});
  flags.Add("pg-database", &values->database, "database that init creates", {.env = "POSTGRES_DB"});
  flags.Add("pg-listen-addresses", &values->listen_addresses, "addresses that PostgreSQL listens on");
  flags.Add("timeout", &values->timeout_s, "seconds that a start or a stop may take");
  flags.Add("pg-password-file", &values->password_file, "file with the superuser's password (else POSTGRES_PASSWORD)",
            {.env = "POSTGRES_PASSWORD_FILE"});
  flags.Add("pg-hba-template", &values->hba_template, "template of pg_hba.conf; built in unless given");
  flags.Add("postgres-config-template", &values->config_template, "template of the settings; built in unless given");
  flags.Add("pg-replication-hosts", &values->replication_hosts,
            "addresses (CIDR) of standbys on other hosts that may connect by SCRAM");
  flags.Add("pg-initdb-args", &values->initdb_args, "further arguments of initdb, separated by spaces");
  flags.Add("pg-initdb-sql-dirs", &values->initdb_sql_dirs, "role:folder whose *.sql files init runs as that role");
  flags.Add("pg-initdb-sql-files", &values->initdb_sql_files, "SQL files that init runs");
  flags.Add("pg-initdb-extra-conf", &values->initdb_extra_conf, "settings file that is included last");
  flags.Add("pg-init-secrets-file", &values->secrets_file, "SQL file that sets the passwords of login roles");
  flags.Add("pgbackrest-port", &values->pgbackrest_port, "accepted; backups are not built in");
  flags.Add("pgbackrest-cert-dir", &values->pgbackrest_cert_dir, "accepted; backups are not built in");
}

Result<PostgresOptions> Resolve(const Flags& flags, const GetEnv& getenv) {
  PostgresOptions options;
  options.pooler_dir = Absolute(flags.pooler_dir);
  options.data_dir = Absolute(flags.data_dir);
  if (options.pooler_dir.empty()) return Fail(Code::kInvalidArgument, "--pooler-dir is required");
  if (options.data_dir.empty()) return Fail(Code::kInvalidArgument, "set PGDATA to the data directory");
  auto bin_dir = FindPostgresBinDir(flags.bin_dir);
  if (!bin_dir) return std::unexpected(std::move(bin_dir.error()));
  options.bin_dir = std::move(*bin_dir);
  if (flags.timeout_s <= 0) return Fail(Code::kInvalidArgument, "--timeout must be at least 1 second");
  auto password = Password(flags, getenv);
  if (!password) return std::unexpected(std::move(password.error()));
  options.password = std::move(*password);
  options.port = flags.port;
  options.user = flags.user;
  options.database = flags.database;
  options.listen_addresses = flags.listen_addresses;
  options.timeout = std::chrono::seconds(flags.timeout_s);
  options.hba_template_file = Absolute(flags.hba_template);
  options.config_template_file = Absolute(flags.config_template);
  options.replication_hosts = flags.replication_hosts;
  std::istringstream words(flags.initdb_args);
  for (std::string word; words >> word;) options.initdb_args.push_back(word);
  for (const std::string& text : flags.initdb_sql_dirs) {
    const auto colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
      return Fail(Code::kInvalidArgument, fmt::format("--pg-initdb-sql-dirs: '{}' is not role:folder", text));
    }
    options.initdb_sql_dirs.emplace_back(text.substr(0, colon), Absolute(text.substr(colon + 1)));
  }
  for (const std::string& file : flags.initdb_sql_files) options.initdb_sql_files.push_back(Absolute(file));
  options.initdb_extra_conf = Absolute(flags.initdb_extra_conf);
  options.secrets_file = Absolute(flags.secrets_file);
  return options;
}

}  // namespace multigres::pgctld
