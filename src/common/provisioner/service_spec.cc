#include "common/provisioner/service_spec.h"

#include "common/provisioner/spec_json.h"

namespace multigres::provisioner {

std::string ServiceSpec::Display() const {
  return cell.empty() ? service : fmt::format("{} ({})", service, cell);
}

nlohmann::ordered_json SpecToJson(const ServiceSpec& spec) {
  nlohmann::ordered_json json = {
      {"id", spec.id},
      {"service", spec.service},
      {"cell", spec.cell},
      {"stop-phase", static_cast<int>(spec.stop_phase)},
      {"argv", spec.argv},
      {"environment", spec.environment},
      {"log-file", spec.log_file},
      {"state-file", spec.state_file},
      {"ports", spec.ports},
      {"host", spec.host},
      {"data-dir", spec.data_dir},
      {"grpc-socket", spec.grpc_socket},
      {"pg-data-dir", spec.pg_data_dir},
  };
  if (spec.uid) json["uid"] = *spec.uid;
  if (spec.gid) json["gid"] = *spec.gid;
  return json;
}

Result<ServiceSpec> SpecFromJson(const nlohmann::ordered_json& json) {
  // The library reports by exceptions; they end here.
  try {
    ServiceSpec spec;
    json.at("id").get_to(spec.id);
    json.at("service").get_to(spec.service);
    json.at("cell").get_to(spec.cell);
    const int phase = json.at("stop-phase").get<int>();
    if (phase < 0 || phase > static_cast<int>(StopPhase::kTopology)) {
      return Fail(Code::kInvalidArgument, "unknown stop-phase in a service's description");
    }
    spec.stop_phase = static_cast<StopPhase>(phase);
    json.at("argv").get_to(spec.argv);
    json.at("environment").get_to(spec.environment);
    json.at("log-file").get_to(spec.log_file);
    json.at("state-file").get_to(spec.state_file);
    json.at("ports").get_to(spec.ports);
    json.at("host").get_to(spec.host);
    json.at("data-dir").get_to(spec.data_dir);
    json.at("grpc-socket").get_to(spec.grpc_socket);
    json.at("pg-data-dir").get_to(spec.pg_data_dir);
    if (json.contains("uid")) spec.uid = json.at("uid").get<uid_t>();
    if (json.contains("gid")) spec.gid = json.at("gid").get<gid_t>();
    return spec;
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kInvalidArgument, fmt::format("not a service's description: {}", error.what()));
  }
}

std::string ToJson(const ServiceSpec& spec) {
  return SpecToJson(spec).dump();
}

Result<ServiceSpec> ParseServiceSpec(const std::string& json) {
  return SpecFromJson(nlohmann::ordered_json::parse(json, nullptr, false));
}

}  // namespace multigres::provisioner
