// SASLprep (RFC 4013) as far as PostgreSQL passwords need it.
#pragma once

#include <string>
#include <string_view>

namespace multigres::auth {

// The password as it enters SCRAM. ASCII stays as it is (PostgreSQL falls back to the raw bytes for what SASLprep
// prohibits, so do control characters), and so do bytes that aren't UTF-8. Of the rest, the mappings of RFC 3454 B.1
// (nothing) and C.1.2 (space) are applied; compatibility characters and decomposed letters, which NFKC would change,
// are left alone: such a password doesn't match the one that PostgreSQL derived its verifier from.
std::string SaslPrep(std::string_view password);

}  // namespace multigres::auth
