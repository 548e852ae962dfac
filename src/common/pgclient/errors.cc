#include "common/pgclient/errors.h"

#include "common/pgwire/diagnostic.h"

namespace multigres::pgclient {

bool IsConnectionError(const Error& error) {
  return pgwire::IsConnectionError(error);
}

bool IsDead(const Error& error) {
  return IsConnectionError(error) || (error.diagnostic() && pgwire::EndsSession(*error.diagnostic()));
}

bool IsInterrupted(const Error& error) {
  return error.sqlstate().empty() && !error.diagnostic() &&
         (error.code() == Code::kCanceled || error.code() == Code::kDeadlineExceeded);
}

}  // namespace multigres::pgclient
