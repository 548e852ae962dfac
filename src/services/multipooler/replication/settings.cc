#include "services/multipooler/replication/settings.h"

namespace multigres::pooler::replication {

namespace {

// A value of a libpq connection string (manual, "Keyword/Value Connection Strings").
std::string ConnectionValue(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "'";
}

}  // namespace

Awaitable<Result<>> ApplySyncStandbys(Server& server, ::multigres::consensus::SyncStandbys standbys,
                                      Deadline deadline) {
  if (standbys.names.empty() || standbys.num_sync < 1) {
    co_return Fail(Code::kFailedPrecondition, "the list of synchronous standbys must never be empty");
  }
  std::vector<SettingChange> changes;
  changes.push_back({"synchronous_standby_names", standbys.Text()});
  changes.push_back({"synchronous_commit", "on"});
  co_return co_await server.ChangeSettings(std::move(changes), deadline);
}

std::string PrimaryConninfo::Text() const {
  std::string text = fmt::format("host={} port={} user={} application_name={} dbname=postgres", ConnectionValue(host),
                                 port, ConnectionValue(user), ConnectionValue(application_name));
  if (!passfile.empty()) text += " passfile=" + ConnectionValue(passfile);
  return text;
}

}  // namespace multigres::pooler::replication
