// MultiAdminService for browsers' RPC clients: POST /<service>/<Rpc> by the Connect protocol (unary, JSON or binary) or
// as gRPC-Web (JSON or binary).
// Sources: https://connectrpc.com/docs/protocol and the PROTOCOL-WEB.md of gRPC.
#pragma once

#include "services/multiadmin/service_api.h"
#include "tools/http/router.h"

namespace multigres::admin {

// Connect errors are `{"code":"not_found","message":"..."}` with the HTTP status of HttpStatus(); gRPC-Web's are in the
// trailers frame of a 200. 404 for an unknown method, 405 with Allow, 415 for another content type.
// `api` must outlive the router's server.
void RegisterConnect(http::Router& router, const ServiceApi& api);

}  // namespace multigres::admin
