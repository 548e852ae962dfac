// Names of components, shards and addresses, and the keys of their records.
#pragma once

#include <string>
#include <string_view>

#include "common/topoclient/fwd.h"
#include "tools/result/error.h"

namespace multigres::topo {

inline constexpr std::string_view kGlobalCell = "global";  // reserved
inline constexpr std::string_view kDefaultTableGroup = "default";
inline constexpr std::string_view kDefaultShard = "0-inf";

// "multipooler-zone1-x7k2": in keys, logs and job ids. "unknown--" for an unset ID.
std::string ComponentId(const clustermetadata::ID& id);
// "zone1_x7k2": application_name, the CLI, claims.
std::string ClusterId(const clustermetadata::ID& id);
// Splits at the first '_'; kBadInput unless both parts are non-empty. The component type is the caller's to set.
Result<clustermetadata::ID> ParseClusterId(std::string_view text);
// "postgres/default/0-inf"
std::string ShardName(const clustermetadata::ShardKey& shard);
// "host:grpc port"; the bare host name if the record has no such port. M: MultiPooler, MultiGateway, MultiOrch.
template <class M>
std::string GrpcAddress(const M& component);

// kBadInput: only tablegroup `default` and shard `0-inf` are there now.
Result<> ValidateShard(std::string_view table_group, std::string_view shard);
// kBadInput: empty, or with a '/', or (cells) reserved.
Result<> ValidateCellName(std::string_view name);
Result<> ValidateDatabaseName(std::string_view name);

std::string CellKey(std::string_view cell);
std::string DatabaseKey(std::string_view database);
std::string ShardDir(const clustermetadata::ShardKey& shard);           // databases/<db>/<tg>/<shard>
std::string ShardInitClaimKey(const clustermetadata::ShardKey& shard);  // .../ShardInitClaim
std::string BackupLockKey(const clustermetadata::ShardKey& shard);      // backups/<db>/<tg>/<shard>/lock

}  // namespace multigres::topo
