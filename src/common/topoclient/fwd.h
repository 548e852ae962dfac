// The records of the topology store, without their headers ("clustermetadata.pb.h" has the definitions).
#pragma once

namespace clustermetadata {
class Cell;
class Database;
class ID;
class MultiGateway;
class MultiOrch;
class MultiPooler;
class ShardInitClaim;
class ShardKey;
}  // namespace clustermetadata
