#include "common/sqlparse/function_catalog.h"

#include <algorithm>
#include <array>

namespace multigres::sqlparse {
namespace {

struct Entry {
  std::string_view name;
  FunctionClass function_class;
};

// Sorted by name.
constexpr auto kCatalog = std::to_array<Entry>({
    {"current_setting", FunctionClass::kCurrentSetting},
    {"cursor_to_xml", FunctionClass::kForbidden},
    {"cursor_to_xmlschema", FunctionClass::kForbidden},
    {"lo_export", FunctionClass::kForbidden},
    {"lo_import", FunctionClass::kForbidden},
    {"pg_advisory_lock", FunctionClass::kAdvisoryLock},
    {"pg_advisory_lock_shared", FunctionClass::kAdvisoryLock},
    {"pg_advisory_unlock", FunctionClass::kAdvisoryUnlock},
    {"pg_advisory_unlock_all", FunctionClass::kAdvisoryUnlock},
    {"pg_advisory_unlock_shared", FunctionClass::kAdvisoryUnlock},
    {"pg_create_logical_replication_slot", FunctionClass::kLogicalSlot},
    {"pg_create_physical_replication_slot", FunctionClass::kPhysicalSlot},
    {"pg_execute_server_program", FunctionClass::kForbidden},
    {"pg_ls_dir", FunctionClass::kForbidden},
    {"pg_read_binary_file", FunctionClass::kForbidden},
    {"pg_read_file", FunctionClass::kForbidden},
    {"pg_stat_file", FunctionClass::kForbidden},
    {"pg_try_advisory_lock", FunctionClass::kAdvisoryLock},
    {"pg_try_advisory_lock_shared", FunctionClass::kAdvisoryLock},
    {"query_to_xml", FunctionClass::kForbidden},
    {"query_to_xml_and_xmlschema", FunctionClass::kForbidden},
    {"query_to_xmlschema", FunctionClass::kForbidden},
    {"set_config", FunctionClass::kSetConfig},
    {"setseed", FunctionClass::kSetSeed},
    {"table_to_xml", FunctionClass::kForbidden},
    {"table_to_xml_and_xmlschema", FunctionClass::kForbidden},
    {"table_to_xmlschema", FunctionClass::kForbidden},
});
static_assert(std::ranges::is_sorted(kCatalog, {}, &Entry::name));

// Of an extension, which can be installed in any schema.
constexpr auto kDblink =
    std::to_array<std::string_view>({"dblink", "dblink_close", "dblink_connect", "dblink_connect_u", "dblink_exec",
                                     "dblink_fetch", "dblink_get_result", "dblink_open", "dblink_send_query"});
static_assert(std::ranges::is_sorted(kDblink));

}  // namespace

FunctionClass ClassifyFunction(std::string_view schema, std::string_view name) {
  if (name.starts_with("dblink") && std::ranges::binary_search(kDblink, name)) return FunctionClass::kForbidden;
  if (!schema.empty() && schema != "pg_catalog") return FunctionClass::kOrdinary;
  auto it = std::ranges::lower_bound(kCatalog, name, {}, &Entry::name);
  return it != kCatalog.end() && it->name == name ? it->function_class : FunctionClass::kOrdinary;
}

}  // namespace multigres::sqlparse
