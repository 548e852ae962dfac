// A service's description as a JSON value, for the files that put it into larger ones.
#pragma once

#include <nlohmann/json.hpp>

#include "common/provisioner/service_spec.h"

namespace multigres::provisioner {

nlohmann::ordered_json SpecToJson(const ServiceSpec& spec);
// INVALID_ARGUMENT.
Result<ServiceSpec> SpecFromJson(const nlohmann::ordered_json& json);

}  // namespace multigres::provisioner
