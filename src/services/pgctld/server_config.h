// The server's configuration files, rendered from templates. Pure, but for the volume's size.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "services/pgctld/options.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

// What synchronous_standby_names is while no rule says anything: no standby has the name, so no commit is acknowledged.
inline constexpr std::string_view kFence = R"(ANY 1 ("multigres-fence"))";

// WAL budget from the size of the volume that holds PGDATA, in MB.
struct WalBudget {
  std::uint64_t max_wal_size_mb;
  std::uint64_t min_wal_size_mb;
  std::uint64_t wal_keep_size_mb;
};
WalBudget WalBudgetFor(std::uint64_t volume_bytes);

// Replaces each {{name}}. INVALID_ARGUMENT for an unknown name or an unclosed {{.
Result<std::string> Render(std::string_view text, const std::map<std::string, std::string, std::less<>>& values);

// A value as postgresql.conf takes it: quoted, quotes doubled, backslashes too.
std::string QuoteSetting(std::string_view value);

// multigres.conf and pg_hba.conf of this server.
Result<std::string> RenderServerConfig(const PostgresOptions& options, std::uint64_t volume_bytes);
Result<std::string> RenderHba(const PostgresOptions& options);

// Writes both into `data_dir`, and makes postgresql.conf include the former (once) after everything of initdb's.
Result<> InstallServerConfig(const PostgresOptions& options, const std::string& data_dir);

}  // namespace multigres::pgctld
