// What a gateway needs to let a client in: read from the server's catalogs by the pooler's own connections.
#pragma once

#include "common/queryservice/query_service.h"
#include "services/multipooler/connpool/pool_set.h"

namespace multigres::pooler::executor {

// INVALID_ARGUMENT for an empty database or user; NOT_FOUND for a role that doesn't exist; UNAVAILABLE if PostgreSQL
// can't be asked. A role without a password has an empty hash.
Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> LookUpCredentials(
    connpool::PoolSet& pools, const multipoolerservice::GetAuthCredentialsRequest& request, pgclient::Bounds bounds);

}  // namespace multigres::pooler::executor
