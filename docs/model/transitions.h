// The transitions, by who takes them. Each function appends what that part of the shard may do next.
#pragma once

#include <cstring>
#include <vector>

#include "model/step.h"

namespace multigres::model {

// Where they come from, and where they go.
struct Frontier {
  const Model& model;
  const State& from;
  std::vector<Successor>& out;

  // Steps that change nothing are left out.
  void Emit(Step step, const State& to) const {
    if (std::memcmp(&from, &to, sizeof(State)) != 0) out.push_back({step, to});
  }
  bool On(Rule rule) const { return model.On(rule); }
  int nodes() const { return model.bounds.nodes; }
};

// coordinator.cc: an attempt's Recruits, and its proposal from the answers.
void CoordinatorSteps(const Frontier& frontier);
// leader.cc: from Promote to serving; changes of the cohort.
void LeaderSteps(const Frontier& frontier);
// client.cc: writes and their acknowledgement.
void ClientSteps(const Frontier& frontier);
// follower.cc: SetPrimary and streaming.
void FollowerSteps(const Frontier& frontier);
// rejoin.cc: rewinds, restores and the floor of restored members.
void RejoinSteps(const Frontier& frontier);
// fault.cc: crashes.
void FaultSteps(const Frontier& frontier);

// --- shared by them

// The primary goes into recovery: its sessions are gone, the fence is up.
void BecomeStandby(Node& node);
// Does PostgreSQL release commits up to `lsn`?
bool Released(const Model& model, const Node& node, NodeId id, int lsn);
// Forgets reports that nothing waits for (any more).
void ForgetReports(Node& node);

}  // namespace multigres::model
