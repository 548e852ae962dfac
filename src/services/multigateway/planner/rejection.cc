#include "services/multigateway/planner/rejection.h"

#include <fmt/format.h>

namespace multigres::gateway::planner {
namespace {

std::string TextOf(const sqlparse::Hazard& hazard) {
  using Kind = sqlparse::HazardKind;
  switch (hazard.kind) {
    case Kind::kStatement:
      return fmt::format("{} is not supported through the connection pooler", hazard.detail);
    case Kind::kFunction:
      return fmt::format("function {} is not supported for security reasons through the connection pooler",
                         hazard.detail);
    case Kind::kCopyProgram:
      return "COPY with PROGRAM not supported for security reasons";
    case Kind::kCreateInPgTemp:
      return "creating objects in pg_temp via schema qualification is not supported; use CREATE TEMP instead";
    case Kind::kSynchronousCommit:
      return "setting synchronous_commit is not supported: the cluster's durability policy governs it";
    case Kind::kPgTempInSearchPath:
      return "pg_temp in search_path is not supported under connection pooling: temporary objects belong to one "
             "backend";
    case Kind::kSetFromCurrent:
      return fmt::format("SET {} FROM CURRENT is not supported through the connection pooler", hazard.detail);
    case Kind::kPermanentSlot:
      return fmt::format("{} requires temporary=true: a permanent slot would be lost on failover", hazard.detail);
    case Kind::kSetConfigPlace:
      return "set_config is only supported as a top-level SELECT target list entry, or with literal name and "
             "is_local = true";
    case Kind::kSetConfigArgument:
      return fmt::format("set_config {} argument must be a literal constant or a bound parameter", hazard.detail);
    case Kind::kSetConfigBound:
      return fmt::format("set_config with a bound {} argument is not supported through the connection pooler",
                         hazard.detail);
    case Kind::kGatewayVariable:
      return fmt::format(
          "{} is managed by the gateway: functions that read or set it are not supported, use SHOW or "
          "SET",
          hazard.detail);
  }
  return "not supported through the connection pooler";
}

}  // namespace

Error RejectionOf(const sqlparse::Hazard& hazard) {
  return {Code::kUnimplemented, "0A000", TextOf(hazard)};
}

}  // namespace multigres::gateway::planner
