// The values of SET statements. Internal to sqlparse.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/sqlparse/parse_tree.h"
#include "common/sqlparse/statement.h"

namespace multigres::sqlparse {

// A setting's name as PostgreSQL compares it.
std::string FoldSettingName(std::string_view name);
// The arguments of SET as the one string that set_config() takes for the same effect.
std::string FlattenSetArguments(std::string_view folded_name, const std::vector<TreeNode>& arguments);
// transaction_isolation, transaction_read_only, ...: they belong to the transaction.
bool IsTransactionSetting(std::string_view folded_name);
// The settings of SET SESSION CHARACTERISTICS or the modes of BEGIN: DefElem nodes to default_transaction_* values.
std::vector<Assignment> CharacteristicsOf(const std::vector<TreeNode>& modes);
// What is dangerous about assigning that value; `value` null = not known before the statement runs.
void AddAssignmentHazards(std::string_view folded_name, const std::string* value, std::vector<Hazard>& hazards);

}  // namespace multigres::sqlparse
