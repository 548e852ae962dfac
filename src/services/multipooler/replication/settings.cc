#include "services/multipooler/replication/settings.h"

#include "tools/async/event.h"

namespace multigres::pooler::replication {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kReloadTimeout = seconds(5);
constexpr Duration kPoll = milliseconds(10);

// A value of a libpq connection string (manual, "Keyword/Value Connection Strings").
std::string ConnectionValue(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "'";
}

Awaitable<Result<bool>> Visible(AdminSessions& sessions, std::string condition, Deadline deadline) {
  auto seen = co_await sessions.Scalar("SELECT " + condition, deadline);
  if (!seen) co_return std::unexpected(std::move(seen.error()));
  co_return *seen == "t";
}

}  // namespace

Awaitable<Result<>> ChangeSettings(AdminSessions& sessions, std::vector<SettingChange> changes, Deadline deadline) {
  deadline = deadline.Earlier(sessions.clock().After(kReloadTimeout));
  std::string condition = "true";
  for (const SettingChange& change : changes) {
    const std::string literal = pgclient::QuoteLiteral(change.value);
    // One statement each: ALTER SYSTEM can't run inside a transaction block. For a list, SET takes items; the whole
    // list as one string is what the file must hold, and so is what a single literal gives for names that are no list.
    auto altered = co_await sessions.Query("ALTER SYSTEM SET " + change.name + " = " + literal, deadline);
    if (!altered) co_return Fail(std::move(altered), "ALTER SYSTEM SET " + change.name);
    condition += " AND current_setting('" + change.name + "') = " + literal;
  }
  auto reloaded = co_await sessions.Query("SELECT pg_reload_conf()", deadline);
  if (!reloaded) co_return Fail(std::move(reloaded), "reload");
  while (true) {
    auto visible = co_await Visible(sessions, condition, deadline);
    if (!visible) co_return Fail(std::move(visible), "reload");
    if (*visible) co_return Result<>();
    if (deadline.Passed(sessions.clock().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "settings were written but the reload took no effect in time");
    }
    co_await SleepFor(sessions.clock(), kPoll);
  }
}

Awaitable<Result<>> ApplySyncStandbys(AdminSessions& sessions, ::multigres::consensus::SyncStandbys standbys,
                                      Deadline deadline) {
  if (standbys.names.empty() || standbys.num_sync < 1) {
    co_return Fail(Code::kFailedPrecondition, "the list of synchronous standbys must never be empty");
  }
  std::vector<SettingChange> changes;
  changes.push_back({"synchronous_standby_names", standbys.Text()});
  changes.push_back({"synchronous_commit", "on"});
  co_return co_await ChangeSettings(sessions, std::move(changes), deadline);
}

std::string PrimaryConninfo::Text() const {
  std::string text = fmt::format("host={} port={} user={} application_name={} dbname=postgres", ConnectionValue(host),
                                 port, ConnectionValue(user), ConnectionValue(application_name));
  if (!passfile.empty()) text += " passfile=" + ConnectionValue(passfile);
  return text;
}

}  // namespace multigres::pooler::replication
