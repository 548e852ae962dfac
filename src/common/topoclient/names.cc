#include "common/topoclient/names.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/connection.h"

namespace multigres::topo {

using clustermetadata::ID;
using clustermetadata::ShardKey;

namespace {

std::string_view ComponentName(ID::ComponentType type) {
  switch (type) {
    case ID::MULTIPOOLER:
      return "multipooler";
    case ID::MULTIGATEWAY:
      return "multigateway";
    case ID::MULTIORCH:
      return "multiorch";
    default:
      return "unknown";
  }
}

Result<> ValidateName(std::string_view what, std::string_view name) {
  if (name.empty()) return FailTopo(ErrorKind::kBadInput, fmt::format("{} name must not be empty", what));
  if (name.find('/') != std::string_view::npos) {
    return FailTopo(ErrorKind::kBadInput, fmt::format("{} name '{}' must not contain a slash", what, name));
  }
  return {};
}

}  // namespace

std::string ComponentId(const ID& id) {
  return fmt::format("{}-{}-{}", ComponentName(id.component()), id.cell(), id.name());
}

std::string ClusterId(const ID& id) {
  return fmt::format("{}_{}", id.cell(), id.name());
}

Result<ID> ParseClusterId(std::string_view text) {
  const auto split = text.find('_');
  if (split == std::string_view::npos || split == 0 || split + 1 == text.size()) {
    return FailTopo(ErrorKind::kBadInput, fmt::format("invalid cluster ID '{}': expected <cell>_<name>", text));
  }
  ID id;
  id.set_cell(std::string(text.substr(0, split)));
  id.set_name(std::string(text.substr(split + 1)));
  return id;
}

std::string ShardName(const ShardKey& shard) {
  return fmt::format("{}/{}/{}", shard.database(), shard.table_group(), shard.shard());
}

template <class M>
std::string GrpcAddress(const M& component) {
  const auto port = component.port_map().find("grpc");
  if (port == component.port_map().end()) return component.hostname();
  return fmt::format("{}:{}", component.hostname(), port->second);
}
template std::string GrpcAddress(const clustermetadata::MultiPooler&);
template std::string GrpcAddress(const clustermetadata::MultiGateway&);
template std::string GrpcAddress(const clustermetadata::MultiOrch&);

Result<> ValidateShard(std::string_view table_group, std::string_view shard) {
  if (table_group != kDefaultTableGroup) {
    return FailTopo(ErrorKind::kBadInput, fmt::format("only default tablegroup is supported, got: {}", table_group));
  }
  if (shard != kDefaultShard) {
    return FailTopo(ErrorKind::kBadInput,
                    fmt::format("only shard 0-inf is supported for default tablegroup, got: {}", shard));
  }
  return {};
}

Result<> ValidateCellName(std::string_view name) {
  if (name == kGlobalCell) return FailTopo(ErrorKind::kBadInput, "cell name 'global' is reserved");
  return ValidateName("cell", name);
}

Result<> ValidateDatabaseName(std::string_view name) {
  return ValidateName("database", name);
}

std::string CellKey(std::string_view cell) {
  return JoinPath({"cells", cell, "Cell"});
}

std::string DatabaseKey(std::string_view database) {
  return JoinPath({"databases", database, "Database"});
}

std::string ShardDir(const ShardKey& shard) {
  return JoinPath({"databases", shard.database(), shard.table_group(), shard.shard()});
}

std::string ShardInitClaimKey(const ShardKey& shard) {
  return JoinPath({ShardDir(shard), "ShardInitClaim"});
}

std::string BackupLockKey(const ShardKey& shard) {
  return JoinPath({"backups", shard.database(), shard.table_group(), shard.shard(), "lock"});
}

}  // namespace multigres::topo
