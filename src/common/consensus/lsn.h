// WAL positions in PostgreSQL's text form (manual, "pg_lsn Type"): two hexadecimal numbers of up to 8 digits,
// "16/B374D848".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::consensus {

using Lsn = std::uint64_t;

// INVALID_ARGUMENT for anything that PostgreSQL wouldn't take as a pg_lsn.
Result<Lsn> ParseLsn(std::string_view text);
std::string LsnText(Lsn lsn);

// For ordering: an unparseable text is lower than every LSN (nullopt < 0).
std::optional<Lsn> LsnOrLowest(std::string_view text);

}  // namespace multigres::consensus
