#include "services/multipooler/config.h"

#include "common/topoclient/names.h"
#include "tools/fs/file.h"
#include "tools/process/find_program.h"

namespace multigres::pooler {

namespace {

Result<> ReadPassword(Config& config) {
  if (!config.admin_password_file.empty()) {
    auto text = fs::ReadFile(config.admin_password_file);
    if (!text) return Fail(std::move(text), "--connpool-admin-password-file");
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    if (text->empty()) {
      return Fail(Code::kInvalidArgument, "the password file " + config.admin_password_file + " is empty");
    }
    config.admin_password = std::move(*text);
  }
  if (config.admin_password.empty()) {
    return Fail(Code::kInvalidArgument,
                "the admin user's password is needed: set --connpool-admin-password-file or POSTGRES_PASSWORD_FILE");
  }
  return {};
}

}  // namespace

Result<> Complete(Config& config) {
  auto cell = topo::ValidateCellName(config.cell);
  if (!cell) return Fail(std::move(cell), "--cell");
  auto shard = topo::ValidateShard(config.table_group, config.shard);
  if (!shard) return shard;
  if (config.service_id.find_first_of("_/") != std::string::npos) {
    return Fail(Code::kInvalidArgument, "--service-id must not hold '_' or '/'");
  }
  if (config.cell.size() + 1 + config.service_id.size() > 63) {
    return Fail(Code::kInvalidArgument, "--cell and --service-id are too long together (62 characters at most)");
  }
  if (config.global_capacity == 0 || config.admin_capacity == 0) {
    return Fail(Code::kInvalidArgument, "--connpool-global-capacity and --connpool-admin-capacity must be positive");
  }
  if (config.heartbeat_interval_ms < 10 || config.probe_interval < std::chrono::milliseconds(10)) {
    return Fail(Code::kInvalidArgument,
                "--heartbeat-interval-milliseconds and --postgres-probe-interval must be at least 10 ms");
  }
  if (config.unready_timeout < 2 * config.probe_interval) {
    return Fail(Code::kInvalidArgument, "--postgres-unready-timeout must be at least twice --postgres-probe-interval");
  }
  if (config.monitor_interval <= Duration::zero()) {
    return Fail(Code::kInvalidArgument, "--postgres-monitor-interval must be positive");
  }
  if (config.unrecoverable_timeout < Duration::zero()) {
    return Fail(Code::kInvalidArgument, "--postgres-unrecoverable-timeout must not be negative");
  }
  if (config.unrecoverable_min_attempts < 2 || config.unrecoverable_min_attempts > 9) {
    return Fail(Code::kInvalidArgument, "--postgres-unrecoverable-min-attempts must be from 2 to 9");
  }
  if (config.data_dir.empty()) config.data_dir = config.pooler_dir + "/pg_data";
  auto bin_dir = FindPostgresBinDir(config.pg_bin_dir);
  if (!bin_dir) return std::unexpected(std::move(bin_dir.error()));
  config.pg_bin_dir = std::move(*bin_dir);
  return ReadPassword(config);
}

Address PostgresAddress(const Config& config) {
  if (!config.socket_file.empty()) return UnixAddress{config.socket_file};
  return TcpAddress{"localhost", config.pg_port};
}

}  // namespace multigres::pooler
