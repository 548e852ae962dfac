#include "common/sqlparse/set_values.h"

#include <fmt/format.h>

#include "common/sqlparse/lexer.h"

namespace multigres::sqlparse {
namespace {

namespace t = tree;

bool IsSafeIdentifier(std::string_view name) {
  if (name.empty() || !((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_')) return false;
  for (char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

std::string QuoteIdentifier(std::string_view name) {
  if (IsSafeIdentifier(name)) return std::string(name);
  std::string quoted = "\"";
  for (char c : name) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

// GUC_LIST_QUOTE: lists of identifiers, whose items PostgreSQL quotes.
bool IsIdentifierList(std::string_view name) {
  return name == "search_path" || name == "temp_tablespaces" || name == "session_preload_libraries" ||
         name == "shared_preload_libraries" || name == "local_preload_libraries" || name == "unix_socket_directories";
}

std::string ConstantText(TreeNode constant) {
  if (TreeNode number = constant.Child(t::A_Const_::k_ival)) return std::to_string(number.Number(t::Integer_::k_ival));
  if (TreeNode number = constant.Child(t::A_Const_::k_fval)) return std::string(number.Text(t::Float_::k_fval));
  if (TreeNode text = constant.Child(t::A_Const_::k_sval)) return std::string(text.Text(t::String_::k_sval));
  if (TreeNode flag = constant.Child(t::A_Const_::k_boolval)) return flag.Number(t::Boolean_::k_boolval) ? "on" : "off";
  return "";
}

}  // namespace

std::string FoldSettingName(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

std::string FlattenSetArguments(std::string_view folded_name, const std::vector<TreeNode>& arguments) {
  std::string value;
  for (TreeNode argument : arguments) {
    if (!value.empty() || argument.type() != arguments.front().type()) value += ", ";
    if (argument.Is(t::Type::TypeCast)) {
      // Only SET TIME ZONE INTERVAL '...' has one.
      value += fmt::format("INTERVAL '{}'", ConstantText(argument.Child(t::TypeCast_::k_arg)));
    } else if (argument.Child(t::A_Const_::k_sval) && IsIdentifierList(folded_name)) {
      value += QuoteIdentifier(ConstantText(argument));
    } else {
      value += ConstantText(argument);
    }
  }
  return value;
}

bool IsTransactionSetting(std::string_view folded_name) {
  return folded_name == "transaction_isolation" || folded_name == "transaction_read_only" ||
         folded_name == "transaction_deferrable" || folded_name == "transaction_snapshot";
}

std::vector<Assignment> CharacteristicsOf(const std::vector<TreeNode>& modes) {
  std::vector<Assignment> settings;
  for (TreeNode mode : modes) {
    std::string value = ConstantText(mode.Child(t::DefElem_::k_arg));
    if (value == "1" || value == "0") value = value == "1" ? "on" : "off";
    settings.push_back({fmt::format("default_{}", mode.Text(t::DefElem_::k_defname)), std::move(value)});
  }
  return settings;
}

void AddAssignmentHazards(std::string_view folded_name, const std::string* value, std::vector<Hazard>& hazards) {
  if (folded_name == "synchronous_commit") hazards.push_back({HazardKind::kSynchronousCommit, ""});
  if (folded_name != "search_path" || value == nullptr) return;
  // Anywhere in it: an item can be quoted, but its case is folded by nobody who means the temporary schema.
  if (FoldSettingName(*value).contains("pg_temp")) hazards.push_back({HazardKind::kPgTempInSearchPath, ""});
}

}  // namespace multigres::sqlparse
