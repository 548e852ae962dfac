// The contract's consensus messages under one roof, forward declared: functions here take and give them by value or
// reference; whoever touches a field includes clustermetadata.pb.h.
#pragma once

namespace clustermetadata {
class AvailabilityStatus;
class ConsensusStatus;
class DurabilityPolicy;
class ExternallyCertifiedRevocation;
class ID;
class LsnPosition;
class PoolerAddress;
class PoolerPosition;
class ReplicationPrimary;
class RuleNumber;
class RuleNumberPosition;
class RulePosition;
class ShardRule;
class TermRevocation;
}  // namespace clustermetadata

namespace multigres::consensus {

using ::clustermetadata::AvailabilityStatus;
using ::clustermetadata::ConsensusStatus;
using ::clustermetadata::DurabilityPolicy;
using ::clustermetadata::ExternallyCertifiedRevocation;
using ::clustermetadata::ID;
using ::clustermetadata::LsnPosition;
using ::clustermetadata::PoolerAddress;
using ::clustermetadata::PoolerPosition;
using ::clustermetadata::ReplicationPrimary;
using ::clustermetadata::RuleNumber;
using ::clustermetadata::RuleNumberPosition;
using ::clustermetadata::RulePosition;
using ::clustermetadata::ShardRule;
using ::clustermetadata::TermRevocation;

}  // namespace multigres::consensus
