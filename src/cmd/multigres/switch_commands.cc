// multigres cluster switch-primary: a planned change of a shard's leader.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "cmd/multigres/admin_client.h"
#include "cmd/multigres/command.h"

namespace multigres::cli {

namespace {

struct SwitchFlags {
  std::string database = "postgres";
  std::string table_group = "default";
  std::string shard = "0-inf";
  std::string reason;
  std::string timeout = "2m";
  bool yes = false;
};

// "90s", "2m", "1h".
Result<Duration> ParseTimeout(const std::string& text) {
  std::size_t digits = 0;
  while (digits < text.size() && digits < 6 && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const std::string unit = text.substr(digits);
  const int scale = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  const int count = digits == 0 ? 0 : std::stoi(text.substr(0, digits));
  if (scale == 0 || count == 0) {
    return Fail(Code::kInvalidArgument, fmt::format("--timeout: '{}' is no duration such as 90s or 2m", text));
  }
  return std::chrono::seconds(std::int64_t{count} * scale);
}

// The operator types the shard's name, unless --yes.
Result<> Confirm(const SwitchFlags& flags) {
  if (flags.yes) return {};
  std::printf("The leader of shard %s of database %s will step down. Type the shard's name to go on: ",
              flags.shard.c_str(), flags.database.c_str());
  std::fflush(stdout);
  std::string typed;
  std::getline(std::cin, typed);
  if (typed == flags.shard) return {};
  return Fail(Code::kAborted, "not confirmed: nothing was changed");
}

Awaitable<Result<>> SwitchPrimary(Context& context, const SwitchFlags& flags) {
  auto timeout = ParseTimeout(flags.timeout);
  if (!timeout) co_return std::unexpected(std::move(timeout.error()));
  if (auto confirmed = Confirm(flags); !confirmed) co_return confirmed;
  ::multiadmin::SwitchPrimaryRequest request;
  request.mutable_shard_key()->set_database(flags.database);
  request.mutable_shard_key()->set_table_group(flags.table_group);
  request.mutable_shard_key()->set_shard(flags.shard);
  request.set_reason(flags.reason);
  auto response = co_await AskAdmin(context, &AdminClient::SwitchPrimary, std::move(request), *timeout);
  if (!response) co_return std::unexpected(std::move(response.error()));
  std::printf("Old leader: %s/%s\n", response->old_leader_id().cell().c_str(),
              response->old_leader_id().name().c_str());
  co_return Result<>();
}

}  // namespace

void AddSwitchCommand(CLI::App& cluster, Command* chosen) {
  auto flags = std::make_shared<SwitchFlags>();
  CLI::App& command = *cluster.add_subcommand("switch-primary", "let a shard's leader step down for another");
  command.add_option("--database", flags->database, "the database (default postgres)");
  command.add_option("--table-group", flags->table_group, "its table group (default default)");
  command.add_option("--shard", flags->shard, "its shard (default 0-inf)");
  command.add_option("--reason", flags->reason, "why, for the log");
  command.add_flag("--yes", flags->yes, "don't ask");
  command.add_option("--timeout", flags->timeout, "how long to wait for the old leader (default 2m)");
  command.callback([chosen, flags] { *chosen = [flags](Context& context) { return SwitchPrimary(context, *flags); }; });
}

}  // namespace multigres::cli
