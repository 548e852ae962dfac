// MultiAdminService as REST with JSON: kRestRoutes over HTTP.
#pragma once

#include "services/multiadmin/service_api.h"
#include "tools/http/router.h"

namespace multigres::admin {

// Everything below /api/. Errors are `{"code":<gRPC code>,"message":"...","details":[]}`: 400 for an unknown or
// malformed field, 404 for an unknown route, 405 with Allow, 415 for a body that isn't JSON, else as HttpStatus() says.
// `api` must outlive the router's server.
void RegisterRest(http::Router& router, const ServiceApi& api);

}  // namespace multigres::admin
