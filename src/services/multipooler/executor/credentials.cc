#include "services/multipooler/executor/credentials.h"

#include <charconv>

#include "common/pgclient/query.h"
#include "multipoolerservice.pb.h"

namespace multigres::pooler::executor {

namespace {

// One row for the role, if it exists.
constexpr std::string_view kRoleQuery =
    "SELECT r.rolpassword, r.rolcanlogin, r.rolreplication, r.rolsuper,"
    " CASE WHEN pg_catalog.isfinite(r.rolvaliduntil)"
    " THEN pg_catalog.floor(EXTRACT(EPOCH FROM r.rolvaliduntil) * 1000000)::int8 END,"
    " EXISTS (SELECT 1 FROM pg_catalog.pg_database d WHERE d.datname = $2)"
    " FROM pg_catalog.pg_authid r WHERE r.rolname = $1";

// What ALTER ROLE and ALTER DATABASE SET for this pair, from the least to the most specific.
constexpr std::string_view kSettingsQuery =
    "SELECT pg_catalog.unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s"
    " LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
    " LEFT JOIN pg_catalog.pg_authid r ON r.oid = s.setrole"
    " WHERE (s.setdatabase = 0 OR d.datname = $2) AND (s.setrole = 0 OR r.rolname = $1)"
    " ORDER BY (s.setrole <> 0)::int * 2 + (s.setdatabase <> 0)::int";

bool IsTrue(const std::optional<std::string>& value) {
  return value == "t";
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

void Overlay(google::protobuf::Map<std::string, std::string>& parameters, std::string_view assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos) return;
  for (auto& [name, value] : parameters) {
    if (EqualsIgnoringCase(name, assignment.substr(0, equals))) value = assignment.substr(equals + 1);
  }
}

Error Unavailable(Error error) {
  return Error(Code::kUnavailable, error.sqlstate(), "look up credentials: " + error.message());
}

}  // namespace

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> LookUpCredentials(
    connpool::PoolSet& pools, const multipoolerservice::GetAuthCredentialsRequest& request, pgclient::Bounds bounds) {
  if (request.database().empty() || request.username().empty()) {
    co_return Fail(Code::kInvalidArgument, "database and username are required");
  }
  auto lease = co_await pools.AcquireAdmin(bounds);
  if (!lease) co_return std::unexpected(Unavailable(std::move(lease.error())));
  auto& connection = *(*lease)->connection;
  std::vector<std::optional<std::string>> arguments = {request.username(), request.database()};
  auto role = co_await pgclient::QueryParams(connection, std::string(kRoleQuery), arguments, bounds);
  if (!role) co_return std::unexpected(Unavailable(std::move(role.error())));
  if (role->rows.empty()) {
    lease->Release(nullptr);
    co_return Fail(Code::kNotFound, "role \"" + request.username() + "\" does not exist");
  }
  auto settings = co_await pgclient::QueryParams(connection, std::string(kSettingsQuery), arguments, bounds);
  if (!settings) co_return std::unexpected(Unavailable(std::move(settings.error())));

  multipoolerservice::GetAuthCredentialsResponse response;
  const auto& row = role->rows.front();
  response.set_scram_hash(row[0].value_or(""));
  response.set_can_login(IsTrue(row[1]));
  response.set_is_replication_role(IsTrue(row[2]));
  response.set_is_superuser(IsTrue(row[3]));
  if (row[4]) {
    std::int64_t micros = 0;
    std::from_chars(row[4]->data(), row[4]->data() + row[4]->size(), micros);
    response.mutable_valid_until()->set_seconds(micros / 1000000);
    response.mutable_valid_until()->set_nanos(static_cast<std::int32_t>(micros % 1000000 * 1000));
  }
  response.set_database_exists(IsTrue(row[5]));
  auto& parameters = *response.mutable_parameter_status();
  for (const auto& [name, value] : connection.parameters()) parameters[name] = value;
  parameters["application_name"] = "";
  for (const auto& setting : settings->rows) Overlay(parameters, setting[0].value_or(""));
  parameters["is_superuser"] = response.is_superuser() ? "on" : "off";
  parameters["session_authorization"] = request.username();
  lease->Release(nullptr);
  co_return response;
}

}  // namespace multigres::pooler::executor
