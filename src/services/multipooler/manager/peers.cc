#include "services/multipooler/manager/peers.h"

#include "common/consensus/member.h"
#include "common/topoclient/components.h"
#include "common/topoclient/names.h"
#include "multipoolermanagerservice.rpc.h"
#include "tools/async/task_group.h"

namespace multigres::pooler::manager {

namespace pb = ::clustermetadata;
using ::multipoolermanagerdata::StatusResponse;

namespace {

constexpr Duration kAnswerTimeout = std::chrono::seconds(2);

}  // namespace

TopologyPeers::TopologyPeers(topo::Store& store, pb::ID self, pb::ShardKey shard)
    : store_(store), self_(std::move(self)), shard_(std::move(shard)) {}

TopologyPeers::~TopologyPeers() = default;

Awaitable<void> TopologyPeers::Close() {
  for (auto& [address, channel] : channels_) co_await channel->Close();
  channels_.clear();
}

Awaitable<Result<std::vector<Peer>>> TopologyPeers::Registered(Deadline deadline) {
  topo::CallContext context;
  context.deadline = deadline;
  auto records = co_await topo::ListAllComponents<pb::MultiPooler>(store_, context);
  if (!records) co_return Fail(std::move(records), "poolers of the shard");
  std::vector<Peer> peers;
  for (auto& record : *records) {
    const pb::ShardKey& shard = record.value.shard_key();
    const bool same_shard = shard.database() == shard_.database() && shard.table_group() == shard_.table_group() &&
                            shard.shard() == shard_.shard();
    if (!same_shard || multigres::consensus::SameMember(record.value.id(), self_)) continue;
    peers.push_back(Peer{.record = std::move(record.value), .status = std::nullopt});
  }
  co_return peers;
}

Awaitable<Result<StatusResponse>> TopologyPeers::Ask(const pb::MultiPooler& record, Deadline deadline) {
  const std::string text = topo::GrpcAddress(record);
  auto address = ParseAddress(text);
  if (!address) co_return Fail(std::move(address), "address of " + multigres::consensus::MemberText(record.id()));
  auto& channel = channels_[text];
  if (!channel) channel = rpc::Channel::Create(store_.reactor(), std::move(*address));
  rpc::CallOptions options;
  options.deadline = deadline.Earlier(store_.clock().After(kAnswerTimeout));
  options.wait_for_ready = true;
  ::multipoolermanager::rpc::MultiPoolerManagerClient client(*channel);
  co_return co_await client.Status({}, options);
}

Awaitable<void> TopologyPeers::AskInto(Peer& peer, Deadline deadline) {
  auto status = co_await Ask(peer.record, deadline);
  if (status) peer.status = std::move(*status);
}

Awaitable<Result<std::vector<Peer>>> TopologyPeers::Survey(Deadline deadline) {
  auto peers = co_await Registered(deadline);
  if (!peers) co_return peers;
  TaskGroup tasks(store_.reactor().executor());
  for (Peer& peer : *peers) tasks.Spawn("ask peer", AskInto(peer, deadline));
  co_await tasks.Join();
  co_return peers;
}

Awaitable<Result<StatusResponse>> TopologyPeers::StatusOf(pb::ID id, Deadline deadline) {
  auto peers = co_await Registered(deadline);
  if (!peers) co_return std::unexpected(std::move(peers.error()));
  for (const Peer& peer : *peers) {
    if (!multigres::consensus::SameMember(peer.record.id(), id)) continue;
    co_return co_await Ask(peer.record, deadline);
  }
  co_return Fail(Code::kNotFound, multigres::consensus::MemberText(id) + " is not registered");
}

}  // namespace multigres::pooler::manager
