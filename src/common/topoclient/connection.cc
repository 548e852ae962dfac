#include "common/topoclient/connection.h"

namespace multigres::topo {

std::string JoinPath(std::initializer_list<std::string_view> parts) {
  std::string path;
  bool first = true;
  for (std::string_view part : parts) {
    if (first && part.starts_with('/')) path = "/";
    first = false;
    while (!part.empty()) {
      const auto slash = part.find('/');
      const auto name = part.substr(0, slash);
      part = slash == std::string_view::npos ? std::string_view() : part.substr(slash + 1);
      if (name.empty()) continue;
      if (!path.empty() && path.back() != '/') path.push_back('/');
      path.append(name);
    }
  }
  return path;
}

Awaitable<Result<std::vector<DirEntry>>> ListDir(Connection& connection, CallContext context, std::string path) {
  const std::string dir = JoinPath({path});
  const std::string prefix = dir.empty() ? "" : dir + "/";
  auto keys = co_await connection.List(context, prefix, Connection::ListWhat::kKeysOnly);
  if (!keys) {
    if (Is(keys.error(), ErrorKind::kNoNode)) co_return FailTopo(ErrorKind::kNoNode, dir);
    co_return std::unexpected(keys.error());
  }
  std::map<std::string, DirEntry> children;
  for (const KeyValue& key : *keys) {
    const std::string_view rest = std::string_view(key.key).substr(prefix.size());
    const auto slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    DirEntry& entry = children[name];
    entry.name = name;
    // A name that is a key and a directory as well counts as a directory.
    if (slash != std::string_view::npos) {
      entry.is_directory = true;
      entry.ephemeral = false;
    } else if (!entry.is_directory) {
      entry.ephemeral = key.leased;
    }
  }
  std::vector<DirEntry> entries;
  entries.reserve(children.size());
  for (auto& [name, entry] : children) entries.push_back(std::move(entry));
  co_return entries;
}

}  // namespace multigres::topo
