#include "services/multigateway/scatterconn/lost_call.h"

#include "common/mterrors/conditions.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::scatterconn {

using session::Session;

namespace {

// Nobody at the other end said this.
bool IsCutOff(const Error& error) {
  return !error.diagnostic() && (error.code() == Code::kUnavailable || error.code() == Code::kPreExecutionUnavailable);
}

bool NeverSent(const Error& error) {
  return error.execution() == Execution::kDidNotExecute;
}

Error Unknown(Error error) {
  return error.sqlstate() == mterrors::kOutcomeUnknown ? error : mterrors::OutcomeUnknown();
}

Error Terminated(const Session& session) {
  return mterrors::ReservedConnectionTerminated(session.reservation().connection_id);
}

}  // namespace

Error AsClientSees(const Session& session, Error error) {
  if (!IsCutOff(error)) return error;
  const bool held = session.reservation().held();
  if (NeverSent(error)) return held ? Terminated(session) : error;
  if (held && !session.transaction().idle()) return Terminated(session);
  return Unknown(std::move(error));
}

Error CommitAsClientSees(const Session& session, Error error) {
  if (!IsCutOff(error)) return error;
  if (!NeverSent(error)) return Unknown(std::move(error));
  return session.reservation().held() ? Terminated(session) : error;
}

Error UncommittedAsClientSees(const Session& session, Error error) {
  return IsCutOff(error) ? Terminated(session) : error;
}

}  // namespace multigres::gateway::scatterconn
