// The statements that make the schema `multigres`: run once, by the winner of the bootstrap, before anybody copies it.
#pragma once

#include <string>

#include "clustermetadata.pb.h"

namespace multigres::pooler::consensus {

// ShardSchema::Create() and RecreateUnlogged(), each one transaction with synchronous_commit = local: nobody could
// acknowledge yet.
std::string CreateSchemaStatements(const ::clustermetadata::DurabilityPolicy& policy, const std::string& bootstrapper);
std::string RecreateUnloggedStatements();

}  // namespace multigres::pooler::consensus
