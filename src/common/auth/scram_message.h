// The attribute=value syntax of SCRAM messages (RFC 5802, section 7). Internal to common/auth.
#pragma once

#include <string>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::auth {

// 08P01 `malformed SCRAM message` with this detail, FATAL.
Error MalformedScramMessage(std::string detail);
// Any FATAL diagnostic.
Error FatalError(std::string sqlstate, std::string message, std::string detail = {});

// Takes "x=value" and the comma behind it, if there is one, off the front of a message. Each attribute must be the
// expected one.
Result<std::string_view> TakeAttribute(std::string_view& message, char attribute);

struct ScramAttribute {
  char name = 0;
  std::string_view value;
};
Result<ScramAttribute> TakeAnyAttribute(std::string_view& message);

// Printable ASCII without comma, and not empty: what a nonce may be.
bool IsScramPrintable(std::string_view text);

}  // namespace multigres::auth
