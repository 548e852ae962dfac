#include "services/pgctld/server_config.h"

#include "tools/fs/file.h"

namespace multigres::pgctld {

namespace {

constexpr std::string_view kIncludeLine = "include_if_exists = 'multigres.conf'";

// Port, addresses and socket folder come on the command line. Rewritten at every start.
constexpr std::string_view kConfigTemplate =
    R"(# Written by pgctld at every start; change it by --postgres-config-template or
# --pg-initdb-extra-conf.
max_connections = 110
password_encryption = 'scram-sha-256'
unix_socket_permissions = 0700

# Replication. Every server may become leader or follower at any time.
wal_level = logical
hot_standby = on
wal_log_hints = on
max_wal_senders = 25
max_replication_slots = 25
wal_retrieve_retry_interval = 100ms
wal_receiver_status_interval = 1s
# A connection whose other end is cut off is given up, and made anew as soon as that is possible. Both ends ask for a sign
# of life after half the time, and answer from processes that wait for no replay.
wal_receiver_timeout = 10s
wal_sender_timeout = 10s
recovery_target_timeline = 'latest'
max_wal_size = {{max_wal_size}}
min_wal_size = {{min_wal_size}}
wal_keep_size = {{wal_keep_size}}
max_slot_wal_keep_size = {{max_wal_size}}

# Nothing is acknowledged unless a rule names who must hold it: ALTER SYSTEM sets the list of the rule over this fence.
synchronous_commit = on
synchronous_standby_names = {{fence}}
# A server that crashed comes back as a standby, never by itself and never writable.
restart_after_crash = off
# Before it recovers, one call for its file system instead of one for each of a thousand files: it is needed back.
recovery_init_sync_method = syncfs

log_line_prefix = '%m [%p] %q%u@%d %a '
log_timezone = 'UTC'
)";

constexpr std::string_view kHbaTemplate = R"(# Written by pgctld at every start; change it by --pg-hba-template or
# --pg-replication-hosts.
# TYPE  DATABASE     USER  ADDRESS        METHOD
local   all          all                  scram-sha-256
host    all          all   127.0.0.1/32   scram-sha-256
host    all          all   ::1/128        scram-sha-256
local   replication  all                  scram-sha-256
host    replication  all   127.0.0.1/32   scram-sha-256
host    replication  all   ::1/128        scram-sha-256
{{replication_hosts}})";

Result<std::string> TemplateText(const std::string& file, std::string_view built_in) {
  if (file.empty()) return std::string(built_in);
  return fs::ReadFile(file);
}

}  // namespace

WalBudget WalBudgetFor(std::uint64_t volume_bytes) {
  const std::uint64_t volume_mb = volume_bytes / (1024 * 1024);
  const std::uint64_t max = std::clamp<std::uint64_t>(volume_mb / 4, 64, 4096);
  return {.max_wal_size_mb = max,
          // The server wants at least two segments of 16 MB.
          .min_wal_size_mb = std::max<std::uint64_t>(max / 4, 32),
          .wal_keep_size_mb = std::clamp<std::uint64_t>(volume_mb / 8, 32, 1000)};
}

Result<std::string> Render(std::string_view text, const std::map<std::string, std::string, std::less<>>& values) {
  std::string result;
  while (true) {
    const auto open = text.find("{{");
    result.append(text.substr(0, open));
    if (open == std::string_view::npos) return result;
    const auto close = text.find("}}", open);
    if (close == std::string_view::npos) return Fail(Code::kInvalidArgument, "template has a {{ without its }}");
    const auto name = text.substr(open + 2, close - open - 2);
    const auto value = values.find(name);
    if (value == values.end())
      return Fail(Code::kInvalidArgument, fmt::format("template names unknown {{{{{}}}}}", name));
    result.append(value->second);
    text.remove_prefix(close + 2);
  }
}

std::string QuoteSetting(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back(c);
    quoted.push_back(c);
  }
  quoted.push_back('\'');
  return quoted;
}

Result<std::string> RenderServerConfig(const PostgresOptions& options, std::uint64_t volume_bytes) {
  auto text = TemplateText(options.config_template_file, kConfigTemplate);
  if (!text) return Fail(std::move(text), "configuration template");
  const WalBudget wal = WalBudgetFor(volume_bytes);
  auto rendered = Render(*text, {{"max_wal_size", fmt::format("{}MB", wal.max_wal_size_mb)},
                                 {"min_wal_size", fmt::format("{}MB", wal.min_wal_size_mb)},
                                 {"wal_keep_size", fmt::format("{}MB", wal.wal_keep_size_mb)},
                                 {"fence", QuoteSetting(kFence)},
                                 {"port", std::to_string(options.port)},
                                 {"user", options.user},
                                 {"data_dir", options.data_dir},
                                 {"pooler_dir", options.pooler_dir}});
  if (!rendered) return Fail(std::move(rendered), "configuration template");
  if (!options.initdb_extra_conf.empty()) {
    rendered->append("\ninclude_if_exists = ").append(QuoteSetting(options.initdb_extra_conf)).append("\n");
  }
  return rendered;
}

Result<std::string> RenderHba(const PostgresOptions& options) {
  auto text = TemplateText(options.hba_template_file, kHbaTemplate);
  if (!text) return Fail(std::move(text), "pg_hba template");
  std::string hosts;
  for (const std::string& host : options.replication_hosts) {
    if (host.empty() || host.find_first_of(" \t\n#\"") != std::string::npos) {
      return Fail(Code::kInvalidArgument, fmt::format("'{}' is not an address for --pg-replication-hosts", host));
    }
    hosts += fmt::format("host    all          all   {}   scram-sha-256\n", host);
    hosts += fmt::format("host    replication  all   {}   scram-sha-256\n", host);
  }
  auto rendered = Render(*text, {{"replication_hosts", hosts}, {"user", options.user}});
  if (!rendered) return Fail(std::move(rendered), "pg_hba template");
  return rendered;
}

Result<> InstallServerConfig(const PostgresOptions& options, const std::string& data_dir) {
  auto space = fs::DiskSpaceOf(data_dir);
  if (!space) return std::unexpected(std::move(space.error()));
  auto config = RenderServerConfig(options, space->total_bytes);
  if (!config) return std::unexpected(std::move(config.error()));
  auto hba = RenderHba(options);
  if (!hba) return std::unexpected(std::move(hba.error()));
  auto written = fs::WriteFileAtomic(data_dir + "/multigres.conf", *config, 0600);
  if (written) written = fs::WriteFileAtomic(data_dir + "/pg_hba.conf", *hba, 0600);
  if (!written) return written;
  auto main_file = fs::ReadFile(data_dir + "/postgresql.conf");
  if (!main_file) return std::unexpected(std::move(main_file.error()));
  if (main_file->find(kIncludeLine) != std::string::npos) return {};
  main_file->append("\n# Settings of this cluster win over those above.\n").append(kIncludeLine).append("\n");
  return fs::WriteFileAtomic(data_dir + "/postgresql.conf", *main_file, 0600);
}

}  // namespace multigres::pgctld
