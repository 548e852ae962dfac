#include "services/multipooler/manager/peers.h"

#include "common/consensus/member.h"
#include "common/topoclient/components.h"
#include "common/topoclient/names.h"
#include "multipoolermanagerservice.rpc.h"

namespace multigres::pooler::manager {

namespace pb = ::clustermetadata;
using ::multipoolermanagerdata::StatusResponse;

namespace {

constexpr Duration kAnswerTimeout = std::chrono::seconds(2);

}  // namespace

TopologyPeers::TopologyPeers(topo::Store& store, pb::ID self, pb::ShardKey shard)
    : store_(store), self_(std::move(self)), shard_(std::move(shard)), asking_(store.reactor().executor()) {}

TopologyPeers::~TopologyPeers() = default;

Awaitable<void> TopologyPeers::Close() {
  co_await asking_.CancelAndJoin();
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

// One survey; outlives a caller that goes away while answers come in.
struct TopologyPeers::Round {
  std::vector<Peer> peers;
  std::size_t pending = 0;
  Event done;
};

Awaitable<void> TopologyPeers::AskInto(std::shared_ptr<Round> round, std::size_t index, Deadline deadline) {
  auto status = co_await Ask(round->peers[index].record, deadline);
  if (status) round->peers[index].status = std::move(*status);
  if (--round->pending == 0) round->done.Set();
}

Awaitable<Result<std::vector<Peer>>> TopologyPeers::Survey(Deadline deadline) {
  auto peers = co_await Registered(deadline);
  if (!peers || peers->empty()) co_return peers;
  auto round = std::make_shared<Round>();
  round->peers = std::move(*peers);
  round->pending = round->peers.size();
  for (std::size_t i = 0; i < round->peers.size(); ++i) asking_.Spawn("ask peer", AskInto(round, i, deadline));
  co_await round->done.Wait();
  co_return std::move(round->peers);
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
