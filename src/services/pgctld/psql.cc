#include "services/pgctld/psql.h"

#include "tools/process/process.h"

namespace multigres::pgctld {

Awaitable<Result<std::string>> RunPsql(Reactor& reactor, const PostgresOptions& options, PsqlCall call,
                                       Deadline deadline) {
  SpawnOptions spawn;
  spawn.argv = {options.Program("psql"),
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--no-password",
                "--set=ON_ERROR_STOP=1",
                "--host=" + call.socket_dir,
                "--port=" + std::to_string(call.port),
                "--username=" + options.user,
                "--dbname=" + call.database};
  spawn.argv.insert(spawn.argv.end(), call.arguments.begin(), call.arguments.end());
  std::string settings;
  for (const std::string& setting : call.settings) settings.append(settings.empty() ? "-c " : " -c ").append(setting);
  spawn.environment = {"PGPASSWORD=" + options.password,
                       "PGOPTIONS=" + settings,
                       "PGCONNECT_TIMEOUT=5",
                       "PGSERVICE",
                       "PGSSLMODE=disable",
                       "LC_ALL=C.UTF-8"};
  if (options.password.empty()) spawn.environment[0] = "PGPASSWORD";
  spawn.input = std::move(call.input);
  auto done = co_await RunProcess(reactor, std::move(spawn), deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  if (!done->status.Succeeded()) {
    while (!done->error.empty() && done->error.back() == '\n') done->error.pop_back();
    // psql: 2 = no connection, 3 = a statement failed.
    const Code code = done->status.exit_code == 2 ? Code::kUnavailable : Code::kInternal;
    co_return Fail(code, done->error.empty() ? "psql: " + done->status.ToString() : done->error);
  }
  while (!done->output.empty() && done->output.back() == '\n') done->output.pop_back();
  co_return std::move(done->output);
}

}  // namespace multigres::pgctld
