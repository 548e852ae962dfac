// SASLprep (RFC 4013) the way PostgreSQL applies it to passwords.
#pragma once

#include <string>
#include <string_view>

namespace multigres::auth {

// The normalised password, or the bytes unchanged where PostgreSQL would use them unchanged: not valid UTF-8,
// prohibited characters, or mixed text directions.
std::string SaslPrep(std::string_view password);

}  // namespace multigres::auth
