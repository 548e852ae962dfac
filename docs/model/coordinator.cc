// Coordinators. An attempt starts with its first accepted Recruit; its view may be as stale as it likes.
#include "model/promise.h"
#include "model/quorum.h"
#include "model/transitions.h"
#include "model/wal.h"

namespace multigres::model {
namespace {

// What the node reports, and so what its promise is judged by.
struct Report {
  Position position;
  std::uint8_t replayed;
  std::uint8_t hidden;
};

std::vector<Report> ReportsOf(const Frontier& frontier, const Node& node) {
  std::vector<Report> reports;
  const bool lags = !frontier.On(Rule::kWaitForReplay) && !node.primary;
  const bool hides = !frontier.On(Rule::kGreatestLsn) && !node.primary && node.length > 0;
  for (int replayed = lags ? 0 : node.length; replayed <= node.length; ++replayed) {
    for (int hidden = 0; hidden <= (hides ? 1 : 0); ++hidden) {
      Position position = PositionAt(node, replayed);
      if (hidden == 1) position.lsn = 0;
      reports.push_back({position, static_cast<std::uint8_t>(replayed), static_cast<std::uint8_t>(hidden)});
    }
  }
  return reports;
}

void StopTakingPart(const Frontier& frontier, Node& node) {
  if (!node.primary) {
    if (frontier.On(Rule::kReceiverStopped)) node.conninfo = 0;
    return;
  }
  if (!frontier.On(Rule::kPrimaryDemoted)) return;
  BecomeStandby(node);
  node.diverged = true;
}

// `from` already has the attempt.
void Recruit(const Frontier& frontier, const State& from, int attempt, NodeId id) {
  for (const Report& report : ReportsOf(frontier, from.nodes[id])) {
    if (!AcceptsRecruit(frontier.model, from, from.nodes[id], attempt, report.position)) continue;
    State to = from;
    StopTakingPart(frontier, to.nodes[id]);
    Promise(frontier.model, to, id, attempt);
    if (to.attempts[attempt].stage == Stage::kRecruiting) {
      to.attempts[attempt].answered |= 1 << id;
      to.attempts[attempt].answers[id] = report.position;
    }
    frontier.Emit({StepKind::kRecruit, static_cast<std::uint8_t>(attempt), id, report.replayed, report.hidden}, to);
  }
}

// The view decides on term and outgoing rule; any rule that was ever written, and any term above those seen, can be
// what a coordinator last heard of.
void StartAttempts(const Frontier& frontier, int attempt) {
  int highest = 1;
  for (const Attempt& other : frontier.from.attempts) highest = std::max<int>(highest, other.term);
  for (RuleId rule : WrittenRules(frontier.from)) {
    const Number outgoing = NumberOf(frontier.from, rule);
    for (int term = TermOf(outgoing) + 1; term <= highest + 1; ++term) {
      State started = frontier.from;
      started.attempts[attempt].stage = Stage::kRecruiting;
      started.attempts[attempt].term = static_cast<std::uint8_t>(term);
      started.attempts[attempt].outgoing = outgoing;
      for (int node = 0; node < frontier.nodes(); ++node) Recruit(frontier, started, attempt, node);
    }
  }
}

const Position& MostAdvanced(const Frontier& frontier, const Attempt& attempt, Mask recruits) {
  int best = -1;
  for (int node = 0; node < kMaxNodes; ++node) {
    if (!((recruits >> node) & 1)) continue;
    if (best < 0 || CompareRules(frontier.model, frontier.from, attempt.answers[node], attempt.answers[best]) > 0)
      best = node;
  }
  return attempt.answers[best];
}

bool QuorumsSuffice(const Frontier& frontier, const Position& best, Mask recruits) {
  const Model& model = frontier.model;
  const Mask cohort = CohortOf(model, frontier.from, best.Highest());
  if (!RecruitmentSuffices(model, cohort, recruits) || !CandidacySuffices(model, cohort, recruits)) return false;
  if (best.proposal == kNoRule) return true;
  const Mask decided = CohortOf(model, frontier.from, best.decision);
  if (!Nested(cohort, decided)) return false;
  return !model.On(Rule::kDecisionCohortToo) || RecruitmentSuffices(model, decided, recruits);
}

// No voter is ahead of it.
bool MayLead(const Frontier& frontier, const Attempt& attempt, Mask voters, NodeId candidate) {
  for (int node = 0; node < frontier.nodes(); ++node) {
    if (!((voters >> node) & 1)) continue;
    const Position& other = attempt.answers[node];
    const Position& own = attempt.answers[candidate];
    const int order = frontier.On(Rule::kLsnOrder) ? ComparePositions(frontier.model, frontier.from, other, own)
                                                   : CompareRules(frontier.model, frontier.from, other, own);
    if (order > 0) return false;
  }
  return true;
}

void Propose(const Frontier& frontier, int number, Mask recruits) {
  const Attempt& attempt = frontier.from.attempts[number];
  const Position& best = MostAdvanced(frontier, attempt, recruits);
  if (frontier.On(Rule::kOutgoingMatches) && NumberOf(frontier.from, best.Highest()) != attempt.outgoing) return;
  if (!QuorumsSuffice(frontier, best, recruits)) return;
  const Mask cohort = CohortOf(frontier.model, frontier.from, best.Highest());
  const Mask voters = recruits & (cohort | CohortOf(frontier.model, frontier.from, best.decision));
  for (NodeId leader = 0; leader < frontier.nodes(); ++leader) {
    if (!(((recruits & cohort) >> leader) & 1) || !MayLead(frontier, attempt, voters, leader)) continue;
    State to = frontier.from;
    Attempt& proposed = to.attempts[number];
    proposed.stage = Stage::kProposed;
    proposed.leader = leader;
    proposed.cohort = cohort;
    proposed.decision = best.decision;
    proposed.carried = best.proposal;
    proposed.answered = 0;
    proposed.answers = {};
    frontier.Emit({StepKind::kPropose, static_cast<std::uint8_t>(number), recruits}, to);
  }
}

void ProposeFromAnySubset(const Frontier& frontier, int number) {
  const Mask answered = frontier.from.attempts[number].answered;
  for (Mask recruits = answered; recruits != 0; recruits = (recruits - 1) & answered) {
    Propose(frontier, number, recruits);
  }
}

}  // namespace

void CoordinatorSteps(const Frontier& frontier) {
  for (int attempt = 0; attempt < frontier.model.bounds.attempts; ++attempt) {
    const Stage stage = frontier.from.attempts[attempt].stage;
    if (stage == Stage::kUnused) {
      StartAttempts(frontier, attempt);
      return;
    }
    for (NodeId node = 0; node < frontier.nodes(); ++node) Recruit(frontier, frontier.from, attempt, node);
    if (stage == Stage::kRecruiting) ProposeFromAnySubset(frontier, attempt);
  }
}

}  // namespace multigres::model
