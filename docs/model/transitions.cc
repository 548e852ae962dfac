#include "model/transitions.h"

#include "model/quorum.h"
#include "model/wal.h"

namespace multigres::model {

void BecomeStandby(Node& node) {
  node.primary = false;
  node.serving = false;
  node.sync_list = 0;
  node.late_walsenders = 0;
  node.sync_defined = true;
  node.flushed = {};
  node.waiting = 0;
  node.phase = Phase::kIdle;
  node.installing = node.install_next = kNoRule;
  node.awaited = 0;
}

bool Released(const Model& model, const Node& node, NodeId id, int lsn) {
  if (!node.sync_defined) return true;
  if (node.sync_list == 0) return false;
  Mask holders = 0;
  for (int i = 0; i < model.bounds.nodes; ++i) {
    if (i != id && node.flushed[i] >= lsn) holders |= 1 << i;
  }
  const bool inside = (node.sync_list >> id) & 1;
  return Count(holders & (node.sync_list | node.late_walsenders)) >= model.bounds.required - (inside ? 1 : 0);
}

void ForgetReports(Node& node) {
  std::uint32_t awaited = node.phase >= Phase::kProposed ? 1u << node.awaited : 0;
  for (int i = 0; i < kMaxWrites; ++i) {
    if ((node.waiting >> i) & 1) awaited |= 1u << LsnOf(node, RecordKind::kWrite, i);
  }
  for (std::uint8_t& flushed : node.flushed) {
    while (flushed > 0 && !((awaited >> flushed) & 1)) --flushed;
  }
}

void Successors(const Model& model, const State& state, std::vector<Successor>& out) {
  out.clear();
  const Frontier frontier{model, state, out};
  CoordinatorSteps(frontier);
  LeaderSteps(frontier);
  ClientSteps(frontier);
  FollowerSteps(frontier);
  RejoinSteps(frontier);
  FaultSteps(frontier);
  for (Successor& next : out) {
    for (Node& node : next.state.nodes) {
      if (node.primary) ForgetReports(node);
    }
  }
}

}  // namespace multigres::model
