// Rules as rows of multigres.current_rule, and back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clustermetadata.pb.h"
#include "tools/result/error.h"

namespace multigres::pooler::consensus {

// "AT_LEAST_N", "MULTI_CELL_AT_LEAST_N"
std::string QuorumTypeText(const ::clustermetadata::DurabilityPolicy& policy);
Result<::clustermetadata::QuorumType> ParseQuorumType(std::string_view text);

// The columns that ReadRuleQuery() selects, in its order.
std::string ReadRuleQuery();
// DATA_LOSS: a proposal that is partly NULL, or text that is no member, number or type.
Result<::clustermetadata::RulePosition> RuleFromRow(const std::vector<std::optional<std::string>>& row);

// '{"zone1_a","zone2_b"}' of a rule's cohort, as a text[] literal (without the outer quotes).
std::string CohortLiteral(const ::clustermetadata::ShardRule& rule);
// A timestamptz literal with microseconds, UTC.
std::string TimestampText(const google::protobuf::Timestamp& time);

}  // namespace multigres::pooler::consensus
