#include "services/multipooler/grpcpoolerservice/admission.h"

#include "common/mterrors/conditions.h"
#include "query.pb.h"

namespace multigres::pooler::grpcpoolerservice {

Result<> Admission::StartRequest(RequestKind kind) const {
  switch (phase_) {
    case Phase::kServing:
      return {};
    case Phase::kDrainReservations:
      if (kind != RequestKind::kNew) return {};
      break;
    case Phase::kDrainStatements:
      if (kind == RequestKind::kExisting) return {};
      break;
    case Phase::kNotServing:
      break;
  }
  return std::unexpected(mterrors::PlannedFailover());
}

Result<> Admission::StartRequest(const ::query::Target& target, RequestKind kind) const {
  if (target.table_group() != shard_.table_group || target.shard() != shard_.shard) {
    return std::unexpected(mterrors::WrongShard("request for shard " + target.table_group() + "/" + target.shard() +
                                                " reached " + shard_.table_group + "/" + shard_.shard));
  }
  if (!target.database().empty() && target.database() != shard_.database) {
    return std::unexpected(
        mterrors::WrongShard("request for database " + target.database() + " reached " + shard_.database));
  }
  if (target.pooler_type() == clustermetadata::DRAINED) {
    return Fail(Code::kInvalidArgument, "a target of type DRAINED takes no requests");
  }
  auto taken = StartRequest(kind);
  if (!taken) return taken;
  const bool needs_leader = target.pooler_type() == clustermetadata::PRIMARY && kind != RequestKind::kExisting;
  if (needs_leader && role_ != manager::RoutingRole::kPrimary) return std::unexpected(mterrors::PlannedFailover());
  return {};
}

}  // namespace multigres::pooler::grpcpoolerservice
