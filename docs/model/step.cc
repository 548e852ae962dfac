#include "model/step.h"

#include <fmt/format.h>

#include "model/wal.h"

namespace multigres::model {
namespace {

std::string Coordinator(int attempt) {
  return std::string(1, "XYZU"[attempt]);
}

std::string RecruitText(const Step& step, const State& after) {
  const Attempt& attempt = after.attempts[step.a];
  const Node& node = after.nodes[step.b];
  std::string text = fmt::format("{}: Recruit(T={}, outgoing {}) -> {}", Coordinator(step.a), attempt.term,
                                 NumberText(attempt.outgoing), NodeText(step.b));
  Position reported = PositionAt(node, step.c);
  if (step.d == 1) reported.lsn = 0;
  text += fmt::format(", which reports {}", PositionText(after, reported));
  return text;
}

std::string ProposeText(const Step& step, const State& after) {
  const Attempt& attempt = after.attempts[step.a];
  std::string text = fmt::format("{}: proposes {}.0, leader {}, cohort {}, from recruits {}", Coordinator(step.a),
                                 attempt.term, NodeText(attempt.leader), MaskText(attempt.cohort), MaskText(step.b));
  if (attempt.carried != kNoRule) text += fmt::format(", carrying {} over", RuleText(after, attempt.carried));
  return text;
}

std::string PromoteText(const Model& model, const Step& step, const State& after) {
  const Attempt& attempt = after.attempts[step.a];
  return fmt::format("{}: Promote({}.0) -> {}, which leaves recovery on timeline {}", Coordinator(step.a), attempt.term,
                     NodeText(attempt.leader), TimelineOf(model, after, after.nodes[attempt.leader]));
}

std::string SetPrimaryText(const Step& step, const State& after) {
  const std::string target = NodeText(step.c);
  const Node& node = after.nodes[step.c];
  const NodeId leader = LeaderOf(after, step.a);
  std::string text = fmt::format("SetPrimary({} {}, leader {}) -> {}", step.b != 0 ? "decided" : "proposed",
                                 RuleText(after, step.a), NodeText(leader), target);
  if (node.diverged) return text + ", which suspects divergence";
  if (node.conninfo == leader + 1) return text + ", which follows it";
  return text + ", which notes it";
}

std::string ChangeText(const Step& step, const State& after) {
  const Change& change = after.changes[step.b];
  return fmt::format("{}: begins {}, cohort {}", NodeText(step.a), NumberText(change.number), MaskText(change.cohort));
}

std::string RewindText(const Step& step, const State& before, const State& after) {
  const Node& node = after.nodes[step.a];
  const std::string leader = NodeText(node.conninfo - 1);
  if (node.length == before.nodes[step.a].length) {
    return fmt::format("{}: pg_rewind against {}: no rewind required", NodeText(step.a), leader);
  }
  return fmt::format("{}: pg_rewind against {}, back to @{}", NodeText(step.a), leader, step.b);
}

std::string LeaderText(const Step& step, const State& before) {
  const Node& node = before.nodes[step.a];
  const std::string leader = NodeText(step.a);
  const std::string rule = RuleText(before, node.installing);
  switch (step.kind) {
    case StepKind::kWriteProposal:
      return fmt::format("{}: writes proposal {}", leader, rule);
    case StepKind::kDecide:
      return fmt::format("{}: proposal {} held, writes decision {}", leader, rule, rule);
    case StepKind::kServe:
      return fmt::format("{}: decision {} held, serves", leader, rule);
    default:
      return fmt::format("{}: decision {} held, goes on to {}", leader, rule, RuleText(before, node.install_next));
  }
}

}  // namespace

std::string StepText(const Model& model, const State& before, const Step& step, const State& after) {
  switch (step.kind) {
    case StepKind::kRecruit:
      return RecruitText(step, after);
    case StepKind::kPropose:
      return ProposeText(step, after);
    case StepKind::kPromote:
      return PromoteText(model, step, after);
    case StepKind::kRetryPromote:
      return fmt::format("{}: Promote({}.0) -> {} again, which finishes the writes", Coordinator(step.a),
                         after.attempts[step.a].term, NodeText(after.attempts[step.a].leader));
    case StepKind::kWriteProposal:
    case StepKind::kDecide:
    case StepKind::kServe:
    case StepKind::kInstallNext:
      return LeaderText(step, before);
    case StepKind::kChange:
      return ChangeText(step, after);
    case StepKind::kReadmit:
      return fmt::format("{}: asks its quorum to confirm {}", NodeText(step.a),
                         RuleText(after, after.nodes[step.a].installing));
    case StepKind::kReload:
      return fmt::format("{}: checkpointer and walsenders reload", NodeText(step.a));
    case StepKind::kSetPrimary:
      return SetPrimaryText(step, after);
    case StepKind::kStream: {
      const Node& node = after.nodes[step.a];
      const bool more = node.length > before.nodes[step.a].length;
      const std::string what = more ? "streams " + RecordText(after, node.wal[node.length - 1]) : "reports its end";
      return fmt::format("{}: {} {} {}", NodeText(step.a), what, more ? "from" : "to", NodeText(step.b));
    }
    case StepKind::kRewind:
      return RewindText(step, before, after);
    case StepKind::kReadFloor:
      return fmt::format("{}: reads its recruit floor", NodeText(step.a));
    case StepKind::kWrite:
      return fmt::format("{}: a client writes w{}", NodeText(step.a), step.b);
    case StepKind::kAckWrite:
      return fmt::format("{}: w{} is acknowledged to the client", NodeText(step.a), step.b);
    case StepKind::kCancelWrite:
      return fmt::format("{}: the wait of w{} is cancelled, the client told COMMIT", NodeText(step.a), step.b);
    case StepKind::kCrash:
      return fmt::format("{}: crashes and starts {}", NodeText(step.a),
                         after.nodes[step.a].primary ? "writable" : "as a standby");
    case StepKind::kRestartPooler:
      return fmt::format("{}: the pooler is restarted beside its primary", NodeText(step.a));
    case StepKind::kRestore:
      return fmt::format("{}: is restored from the backup", NodeText(step.a));
  }
  return "?";
}

}  // namespace multigres::model
