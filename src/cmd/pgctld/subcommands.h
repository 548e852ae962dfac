// What pgctld does without being a server: one operation, its result on stdout, an exit code.
#pragma once

#include <string_view>
#include <vector>

namespace multigres::pgctld {

// "init", "start", ... ; false for anything else ("server" too).
bool IsSubcommand(std::string_view name);
// arguments[0] is the subcommand. 0, or 1 with `Error: ...` on stderr.
int RunSubcommand(const std::vector<std::string>& arguments);

}  // namespace multigres::pgctld
