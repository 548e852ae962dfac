// The requests of one session, built once and sent many times: an unchanged session copies no settings and allocates
// nothing for its next statement.
#pragma once

#include "multipoolerservice.pb.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::scatterconn {

class RequestCache {
 public:
  explicit RequestCache(const session::Session& session);

  // Up to date with the session's settings and reservation; what belongs to one statement is cleared.
  multipoolerservice::StreamExecuteRequest& StreamExecute(const session::Session& session);
  multipoolerservice::PortalStreamExecuteRequest& PortalStreamExecute(const session::Session& session);

  // The parts of any request.
  const ::query::Target& target() const { return stream_.target(); }
  const ::mtrpc::CallerID& caller() const { return stream_.caller_id(); }
  ::query::ExecuteOptions Options(const session::Session& session) const;

 private:
  static void SyncSettings(const session::Session& session, session::SettingsPtr& built,
                           ::query::ExecuteOptions& options, ::mtrpc::CallerID& caller);

  multipoolerservice::StreamExecuteRequest stream_;
  multipoolerservice::PortalStreamExecuteRequest portal_;
  session::SettingsPtr stream_settings_;
  session::SettingsPtr portal_settings_;
};

// PRIMARY, or REPLICA for a client of the replica port: decided by the port alone, never by SQL.
::query::Target BuildTarget(const session::Session& session);

}  // namespace multigres::gateway::scatterconn
