#include "services/multipooler/consensus/rule_rows.h"

#include <charconv>
#include <sstream>

#include "common/consensus/member.h"
#include "common/consensus/rule_number.h"

namespace multigres::pooler::consensus {

namespace {

namespace pb = ::clustermetadata;
using Row = std::vector<std::optional<std::string>>;

constexpr std::string_view kAtLeast = "AT_LEAST_N";
constexpr std::string_view kMultiCell = "MULTI_CELL_AT_LEAST_N";

// Columns of one rule: number, leader, cohort, policy, time; the proposal's follow the decision's.
constexpr std::size_t kRuleColumns = 8;
constexpr std::size_t kCoordinatorColumn = 2 * kRuleColumns;

Error Corrupt(std::string_view what) {
  return Error(Code::kDataLoss, fmt::format("multigres.current_rule is corrupt: {}", what));
}

Result<std::int64_t> ToInt(const std::string& text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::unexpected(Corrupt("'" + text + "' is no number"));
  }
  return number;
}

Result<pb::ID> ToMember(const std::string& text) {
  auto id = multigres::consensus::ParseMember(text);
  if (!id) return std::unexpected(Corrupt(id.error().message()));
  return id;
}

Result<> FillPolicy(const Row& row, std::size_t first, pb::DurabilityPolicy& policy) {
  policy.set_policy_name(row[first].value_or(""));
  auto type = ParseQuorumType(row[first + 1].value_or(""));
  if (!type) return std::unexpected(std::move(type.error()));
  policy.set_quorum_type(*type);
  auto count = ToInt(row[first + 2].value_or(""));
  if (!count) return std::unexpected(std::move(count.error()));
  policy.set_required_count(static_cast<std::int32_t>(*count));
  return {};
}

// Columns from `first`: term, subterm, leader, cohort (comma separated), policy name, type, count, time (microseconds).
Result<pb::ShardRule> ToRule(const Row& row, std::size_t first) {
  pb::ShardRule rule;
  for (const std::size_t column : {first, first + 1, first + 7}) {
    auto number = ToInt(row[column].value_or(""));
    if (!number) return std::unexpected(std::move(number.error()));
    if (column == first) rule.mutable_rule_number()->set_coordinator_term(*number);
    if (column == first + 1) rule.mutable_rule_number()->set_leader_subterm(*number);
    if (column == first + 7) {
      rule.mutable_creation_time()->set_seconds(*number / 1000000);
      rule.mutable_creation_time()->set_nanos(static_cast<std::int32_t>(*number % 1000000) * 1000);
    }
  }
  if (row[first + 2]) {
    auto leader = ToMember(*row[first + 2]);
    if (!leader) return std::unexpected(std::move(leader.error()));
    *rule.mutable_leader_id() = std::move(*leader);
  }
  std::istringstream members(row[first + 3].value_or(""));
  for (std::string text; std::getline(members, text, ',');) {
    auto member = ToMember(text);
    if (!member) return std::unexpected(std::move(member.error()));
    *rule.add_cohort_members() = std::move(*member);
  }
  auto policy = FillPolicy(row, first + 4, *rule.mutable_durability_policy());
  if (!policy) return std::unexpected(std::move(policy.error()));
  return rule;
}

std::string RuleColumns(std::string_view number_prefix, std::string_view prefix) {
  return fmt::format(
      "{0}coordinator_term, {0}leader_subterm, {1}leader_id, array_to_string({1}cohort_members, ','), "
      "{1}durability_policy_name, {1}durability_quorum_type, {1}durability_required_count, "
      "(extract(epoch FROM {1}created_at) * 1000000)::bigint",
      number_prefix, prefix);
}

}  // namespace

std::string QuorumTypeText(const pb::DurabilityPolicy& policy) {
  return std::string(policy.quorum_type() == pb::QUORUM_TYPE_MULTI_CELL_AT_LEAST_N ? kMultiCell : kAtLeast);
}

Result<pb::QuorumType> ParseQuorumType(std::string_view text) {
  if (text == kAtLeast) return pb::QUORUM_TYPE_AT_LEAST_N;
  if (text == kMultiCell) return pb::QUORUM_TYPE_MULTI_CELL_AT_LEAST_N;
  return std::unexpected(Corrupt(fmt::format("quorum type '{}'", text)));
}

std::string ReadRuleQuery() {
  return "SELECT " + RuleColumns("decision_", "") + ", " + RuleColumns("proposal_", "proposal_") +
         ", coordinator_id FROM multigres.current_rule WHERE shard_id = '0'::bytea";
}

Result<pb::RulePosition> RuleFromRow(const Row& row) {
  if (row.size() != kCoordinatorColumn + 1) return std::unexpected(Corrupt("unexpected columns"));
  pb::RulePosition position;
  auto decision = ToRule(row, 0);
  if (!decision) return std::unexpected(std::move(decision.error()));
  *position.mutable_decision() = std::move(*decision);
  std::size_t present = 0;
  for (std::size_t column = kRuleColumns; column < kCoordinatorColumn; ++column) present += row[column] ? 1 : 0;
  if (present != 0 && present != kRuleColumns) return std::unexpected(Corrupt("the proposal is partly NULL"));
  if (present != 0) {
    auto proposal = ToRule(row, kRuleColumns);
    if (!proposal) return std::unexpected(std::move(proposal.error()));
    *position.mutable_proposal() = std::move(*proposal);
  }
  // One column for both: whoever wrote the row last. A bootstrapper's name need not be a member's.
  if (auto coordinator = multigres::consensus::ParseMember(row[kCoordinatorColumn].value_or(""))) {
    pb::ShardRule& newest = present != 0 ? *position.mutable_proposal() : *position.mutable_decision();
    *newest.mutable_coordinator_id() = *coordinator;
  }
  return position;
}

std::string CohortLiteral(const pb::ShardRule& rule) {
  std::string text = "{";
  for (const std::string& member : multigres::consensus::MemberSet::Of(rule.cohort_members())) {
    if (text.size() > 1) text += ",";
    text += "\"" + member + "\"";
  }
  return text + "}";
}

std::string TimestampText(const google::protobuf::Timestamp& time) {
  // PostgreSQL: to_timestamp() of a double would lose microseconds; an interval from whole microseconds doesn't.
  return fmt::format("(timestamptz 'epoch' + interval '{} microseconds')",
                     time.seconds() * 1000000 + time.nanos() / 1000);
}

}  // namespace multigres::pooler::consensus
