#include "services/multipooler/replication/auto_conf.h"

#include <sstream>

#include "tools/fs/file.h"

namespace multigres::pooler::replication {

namespace {

// The name that a line sets; empty for comments.
std::string NameOf(const std::string& line) {
  const auto end = line.find_first_of(" =\t");
  if (line.empty() || line[0] == '#' || end == std::string::npos) return {};
  return line.substr(0, end);
}

std::string Quoted(const std::string& value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back(c);
    quoted.push_back(c);
  }
  return quoted + "'";
}

}  // namespace

Result<> EditAutoConf(const std::string& data_dir, const std::vector<AutoConfChange>& changes) {
  const std::string path = data_dir + "/postgresql.auto.conf";
  auto text = fs::ReadFile(path);
  if (!text) return std::unexpected(std::move(text.error()));
  std::istringstream lines(*text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    const std::string name = NameOf(line);
    const auto changed = [&name](const AutoConfChange& change) { return change.name == name; };
    if (name.empty() || std::ranges::none_of(changes, changed)) result += line + "\n";
  }
  for (const AutoConfChange& change : changes) {
    if (!change.remove) result += change.name + " = " + Quoted(change.value) + "\n";
  }
  return fs::WriteFileAtomic(path, result, 0600);
}

}  // namespace multigres::pooler::replication
