#include "common/pgclient/errors.h"

#include "common/pgwire/diagnostic.h"

namespace multigres::pgclient {

bool IsConnectionError(const Error& error) {
  const std::string& state = error.sqlstate();
  if (state.empty()) return error.code() == Code::kUnavailable;
  return state.starts_with("08") || state == "57P01" || state == "57P02" || state == "57P03" || state == "57P05";
}

bool IsDead(const Error& error) {
  return IsConnectionError(error) || (error.diagnostic() && pgwire::EndsSession(*error.diagnostic()));
}

bool IsInterrupted(const Error& error) {
  return error.sqlstate().empty() && !error.diagnostic() &&
         (error.code() == Code::kCanceled || error.code() == Code::kDeadlineExceeded);
}

}  // namespace multigres::pgclient
