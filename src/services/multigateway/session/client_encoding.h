// Which client encodings the gateway can read statements in.
#pragma once

#include <string_view>

namespace multigres::gateway::session {

// Multi-byte characters of these can hold ASCII bytes (a quote, a backslash), so that their text can't be told apart
// without transcoding it; PostgreSQL itself does that first. Spellings count as PostgreSQL's do. A session that asks
// for one (SET, startup packet) is refused with 0A000.
bool IsLexingUnsafeEncoding(std::string_view name);

}  // namespace multigres::gateway::session
