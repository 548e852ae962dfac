// The poolers as one reactor of the gateway reaches them: a channel to each, and the choice among them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/queryservice/query_service.h"
#include "common/rpc/channel.h"
#include "services/multigateway/poolergateway/load_balancer.h"
#include "services/multigateway/scatterconn/query_router.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/random/random.h"

namespace multigres::gateway::poolergateway {

// A change of what is known about poolers, as the directory sends it to every reactor.
struct RoutingUpdate {
  enum class Kind : std::uint8_t { kUpsert, kRemove, kHealth };
  Kind kind = Kind::kUpsert;
  PoolerRecord record;  // kRemove and kHealth: its id alone
  PoolerHealth health;  // kHealth
};

struct PoolerGatewayOptions {
  LoadBalancerOptions load_balancer;
  rpc::ChannelOptions channel;
  // How long a leader that another has taken over from may still answer what it was asked as the leader.
  Duration superseded_leader_grace = std::chrono::milliseconds(500);
};

// One per reactor, all calls on its thread. A session's calls stay on its reactor's channel, so that a reserved backend
// is found on the pooler's reactor that accepted it. Channels live from a pooler's appearance in the topology to its
// removal, whatever its role. As a QueryService it routes by the request's target.
//
// A leader that another one has taken over from may be frozen or cut off: what it was asked as the leader ends after
// the grace with 08007, and what it is asked later (by sessions whose backends it holds) within twice the grace.
class PoolerGateway final : public queryservice::QueryService, public scatterconn::QueryRouter {
 public:
  PoolerGateway(Reactor& reactor, PoolerGatewayOptions options);
  ~PoolerGateway() override;

  void Apply(const RoutingUpdate& update);
  // Called for each word of a leader that it is PRIMARY and SERVING, inside Apply().
  using LeaderListener = std::function<void(const ShardTarget& shard)>;
  void set_leader_listener(LeaderListener listener) { leader_listener_ = std::move(listener); }
  // Closes all channels. Call before destruction, when no session is left.
  Awaitable<void> Stop();

  Result<queryservice::QueryService*> QueryServiceFor(const ::query::Target& target) override;
  queryservice::QueryService* QueryServiceByID(std::string_view pooler_id) override;
  // Any pooler that is up, for questions that every server answers alike. Null if there is none.
  queryservice::QueryService* AnyQueryService();

  const LoadBalancer& load_balancer() const { return balancer_; }

  Awaitable<queryservice::ExecuteOutcome> StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                        queryservice::CallScope scope,
                                                        queryservice::ResultSink& sink) override;
  Awaitable<queryservice::ExecuteOutcome> PortalStreamExecute(
      const multipoolerservice::PortalStreamExecuteRequest& request, queryservice::CallScope scope,
      queryservice::ResultSink& sink) override;
  Awaitable<Result<multipoolerservice::DescribeResponse>> Describe(const multipoolerservice::DescribeRequest& request,
                                                                   queryservice::CallScope scope) override;
  Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> CopyBidiExecute(
      const multipoolerservice::CopyBidiExecuteRequest& initiate, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> ConcludeTransaction(
      const multipoolerservice::ConcludeTransactionRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> DiscardTempTables(
      const multipoolerservice::DiscardTempTablesRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> ReleaseReservedConnection(
      const multipoolerservice::ReleaseReservedConnectionRequest& request, queryservice::CallScope scope) override;
  // The request names no target: asks the leader of the database's shard, else any pooler that is up.
  Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> GetAuthCredentials(
      const multipoolerservice::GetAuthCredentialsRequest& request, queryservice::CallScope scope) override;

 private:
  struct Connection;
  void Connect(const PoolerRecord& record);
  // Closes the channel in the background; its calls end with errors.
  void Disconnect(std::string_view id);
  queryservice::QueryService* ServiceOf(const std::string* id);
  // After a pooler of the shard has spoken.
  void FollowLeader(const std::string& speaker);
  void Supersede(Connection& connection);
  void AbandonCalls(Connection& connection, bool all);

  Reactor& reactor_;
  PoolerGatewayOptions options_;
  std::unique_ptr<Random> random_;
  LoadBalancer balancer_;
  LeaderListener leader_listener_;
  std::map<std::string, std::string> leaders_;  // by shard, the last one known
  std::map<std::string, std::unique_ptr<Connection>, std::less<>> connections_;
  TaskGroup tasks_;
};

}  // namespace multigres::gateway::poolergateway
