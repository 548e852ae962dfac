#include "services/multigateway/scatterconn/request_cache.h"

#include "common/topoclient/names.h"

namespace multigres::gateway::scatterconn {
namespace {

void FillIdentity(const session::Identity& identity, ::query::ExecuteOptions& options) {
  options.set_user(identity.user);
  options.set_client_connection_id(identity.client_connection_id);
  options.set_passthrough_row(true);
  if (identity.client_key.empty()) return;
  options.mutable_user_auth()->set_client_key(identity.client_key);
  options.mutable_user_auth()->set_server_key(identity.server_key);
}

}  // namespace

::query::Target BuildTarget(const session::Session& session) {
  ::query::Target target;
  target.set_table_group(std::string(topo::kDefaultTableGroup));
  target.set_shard(std::string(topo::kDefaultShard));
  target.set_pooler_type(session.TargetReplica() ? clustermetadata::REPLICA : clustermetadata::PRIMARY);
  target.set_database(session.identity().database);
  return target;
}

RequestCache::RequestCache(const session::Session& session) {
  *stream_.mutable_target() = BuildTarget(session);
  *portal_.mutable_target() = stream_.target();
  stream_.mutable_caller_id()->set_principal(session.identity().user);
  *portal_.mutable_caller_id() = stream_.caller_id();
  FillIdentity(session.identity(), *stream_.mutable_options());
  FillIdentity(session.identity(), *portal_.mutable_options());
}

void RequestCache::SyncSettings(const session::Session& session, session::SettingsPtr& built,
                                ::query::ExecuteOptions& options, ::mtrpc::CallerID& caller) {
  options.set_reserved_connection_id(session.reservation().connection_id);
  const session::SettingsPtr& settings = session.settings().settings();
  if (built == settings) return;
  built = settings;
  options.clear_session_settings();
  for (const auto& [name, value] : settings->entries()) (*options.mutable_session_settings())[name] = value;
  const std::string* application_name = settings->Find("application_name");
  caller.set_component(application_name == nullptr ? "" : *application_name);
}

multipoolerservice::StreamExecuteRequest& RequestCache::StreamExecute(const session::Session& session) {
  SyncSettings(session, stream_settings_, *stream_.mutable_options(), *stream_.mutable_caller_id());
  stream_.clear_reservation_options();
  stream_.mutable_options()->clear_execute_sql_prepared_statement();
  return stream_;
}

multipoolerservice::PortalStreamExecuteRequest& RequestCache::PortalStreamExecute(const session::Session& session) {
  SyncSettings(session, portal_settings_, *portal_.mutable_options(), *portal_.mutable_caller_id());
  portal_.clear_reservation_options();
  portal_.clear_portal_options();
  return portal_;
}

::query::ExecuteOptions RequestCache::Options(const session::Session& session) const {
  ::query::ExecuteOptions options;
  FillIdentity(session.identity(), options);
  options.set_reserved_connection_id(session.reservation().connection_id);
  for (const auto& [name, value] : session.settings().settings()->entries()) {
    (*options.mutable_session_settings())[name] = value;
  }
  return options;
}

}  // namespace multigres::gateway::scatterconn
