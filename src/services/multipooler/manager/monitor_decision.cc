#include "services/multipooler/manager/monitor_decision.h"

namespace multigres::pooler::manager {

namespace {

MonitorAction DecideWhileDown(const MonitorView& view) {
  if (!view.restarts_enabled) return MonitorAction::kNone;
  if (view.bootstrap_interrupted || !view.initialized) return MonitorAction::kBootstrap;
  // In the middle of a rewind the data directory is neither the old nor the new one: it must not be started.
  if (view.rewind_interrupted) {
    if (!view.suspected_divergence) return MonitorAction::kFlagDivergence;
    return view.can_rejoin && view.rejoin_backoff_over ? MonitorAction::kRejoin : MonitorAction::kNone;
  }
  return MonitorAction::kStartAsStandby;
}

MonitorAction DecideOnPrimary(const MonitorView& view) {
  if (!view.leads_by_rule) {
    if (!view.suspected_divergence) return MonitorAction::kFlagDivergence;
    return view.can_rejoin && view.rejoin_backoff_over ? MonitorAction::kRejoin : MonitorAction::kNone;
  }
  if (view.could_readmit && !view.writable_leader) return MonitorAction::kReadmit;
  if (view.writable_leader && view.sync_standbys_differ) return MonitorAction::kRepairSyncStandbys;
  if (view.writable_leader && view.checkpointed_as_primary && !view.rewind_ready)
    return MonitorAction::kMarkRewindReady;
  return MonitorAction::kNone;
}

MonitorAction DecideOnStandby(const MonitorView& view) {
  if (view.leads_by_rule) return view.demotion_requested ? MonitorAction::kNone : MonitorAction::kRequestDemotion;
  if (view.suspected_divergence) {
    return view.can_rejoin && view.rejoin_backoff_over ? MonitorAction::kRejoin : MonitorAction::kNone;
  }
  if (!view.self_healing || !view.should_follow) return MonitorAction::kNone;
  // Whoever has the recorded leader's conninfo already has been rewound.
  if (view.conninfo_differs && view.led_last) return MonitorAction::kFlagDivergence;
  if (view.conninfo_differs || view.restore_command_set) return MonitorAction::kRepairConninfo;
  return view.cut_off ? MonitorAction::kFlagDivergence : MonitorAction::kNone;
}

}  // namespace

MonitorAction DecideMonitorAction(const MonitorView& view) {
  if (!view.conclusive) return MonitorAction::kNone;
  if (view.bootstrap_interrupted) return DecideWhileDown(view);
  if (!view.process_alive) return DecideWhileDown(view);
  if (!view.answering)
    return MonitorAction::kNone;  // starting, stopping or frozen: others decide about a frozen leader
  if (view.rewind_interrupted && !view.suspected_divergence) return MonitorAction::kFlagDivergence;
  return view.in_recovery ? DecideOnStandby(view) : DecideOnPrimary(view);
}

bool GetsWalOf(std::int64_t leader_term, std::string_view receiver_status, std::uint32_t receiver_timeline) {
  return receiver_status == "streaming" && std::int64_t{receiver_timeline} > leader_term;
}

std::string_view ActionName(MonitorAction action) {
  switch (action) {
    case MonitorAction::kNone:
      return "none";
    case MonitorAction::kBootstrap:
      return "bootstrap";
    case MonitorAction::kStartAsStandby:
      return "start as standby";
    case MonitorAction::kFlagDivergence:
      return "flag divergence";
    case MonitorAction::kRejoin:
      return "rejoin";
    case MonitorAction::kRequestDemotion:
      return "request demotion";
    case MonitorAction::kReadmit:
      return "readmit writes";
    case MonitorAction::kRepairConninfo:
      return "repair primary_conninfo";
    case MonitorAction::kRepairSyncStandbys:
      return "repair synchronous standbys";
    case MonitorAction::kMarkRewindReady:
      return "mark rewind-ready";
  }
  return "?";
}

}  // namespace multigres::pooler::manager
