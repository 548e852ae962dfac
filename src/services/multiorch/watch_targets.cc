#include "services/multiorch/watch_targets.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/names.h"

namespace multigres::orch {
namespace {

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

Result<WatchTargets> WatchTargets::Parse(const std::vector<std::string>& texts) {
  WatchTargets targets;
  for (const std::string& text : texts) {
    std::vector<std::string> parts = Split(text);
    if (parts.size() > 3 || std::ranges::find(parts, "") != parts.end()) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("--watch-targets: '{}' is not db, db/tablegroup or db/tablegroup/shard", text));
    }
    parts.resize(3);
    auto valid = topo::ValidateShard(parts[1].empty() ? topo::kDefaultTableGroup : std::string_view(parts[1]),
                                     parts[2].empty() ? topo::kDefaultShard : std::string_view(parts[2]));
    if (!valid) return Fail(Code::kInvalidArgument, "--watch-targets: " + valid.error().message());
    targets.targets_.push_back({parts[0], parts[1], parts[2]});
  }
  if (targets.targets_.empty()) return Fail(Code::kInvalidArgument, "--watch-targets names no database");
  return targets;
}

bool WatchTargets::Matches(const clustermetadata::ShardKey& shard) const {
  return std::ranges::any_of(targets_, [&](const Target& target) {
    return target.database == shard.database() &&
           (target.table_group.empty() || target.table_group == shard.table_group()) &&
           (target.shard.empty() || target.shard == shard.shard());
  });
}

}  // namespace multigres::orch
