// What text may go to PostgreSQL.
#pragma once

#include <string_view>

#include "services/multigateway/session/session.h"
#include "tools/result/error.h"

namespace multigres::gateway::executor {

// Statements travel as UTF-8. 22021, worded as PostgreSQL does, if the client's encoding is UTF8 too; 0A000 if it is
// another one, which isn't transcoded.
Result<> CheckText(const session::Session& session, std::string_view sql);

}  // namespace multigres::gateway::executor
