#include "services/multipooler/manager/monitor_decision.h"

#include <gtest/gtest.h>

namespace multigres::pooler::manager {
namespace {

MonitorView Up() {
  MonitorView view;
  view.initialized = view.process_alive = view.answering = true;
  return view;
}

MonitorView Follower() {
  MonitorView view = Up();
  view.should_follow = true;
  return view;
}

MonitorView Leader() {
  MonitorView view = Up();
  view.in_recovery = false;
  view.leads_by_rule = view.writable_leader = true;
  return view;
}

TEST(Monitor, NothingFollowsFromAnInconclusiveProbe) {
  MonitorView view;
  view.conclusive = false;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
}

TEST(Monitor, AServerThatIsDownIsStartedAsStandbyAndAnEmptyPoolerIsBootstrapped) {
  MonitorView view;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kBootstrap);
  view.initialized = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kStartAsStandby);
  view.restarts_enabled = false;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
}

TEST(Monitor, AnInterruptedBootstrapIsRetriedEvenIfItsServerRuns) {
  MonitorView view = Up();
  view.bootstrap_interrupted = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kBootstrap);
}

TEST(Monitor, AFrozenServerIsLeftToOthers) {
  MonitorView view = Up();
  view.answering = false;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
}

TEST(Monitor, AnInterruptedRewindIsNeverStartedButRepeated) {
  MonitorView view;
  view.initialized = view.rewind_interrupted = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kFlagDivergence);
  view.suspected_divergence = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
  view.can_rejoin = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kRejoin);
}

TEST(Monitor, ACrashedLeaderAsksToBeDemotedAndNeverPromotesItself) {
  MonitorView view = Up();
  view.leads_by_rule = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kRequestDemotion);
  view.demotion_requested = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
}

TEST(Monitor, AServerOutOfRecoveryThatDoesNotLeadRejoinsOnceItCan) {
  MonitorView view = Up();
  view.in_recovery = false;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kFlagDivergence);
  view.suspected_divergence = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
  view.can_rejoin = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kRejoin);
  view.rejoin_backoff_over = false;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
}

TEST(Monitor, AFollowerIsRepairedUnlessItIsToldNotTo) {
  MonitorView view = Follower();
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
  view.conninfo_differs = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kRepairConninfo);
  view.should_follow = false;  // revoked: it must stay out
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
  view.should_follow = true;
  view.self_healing = false;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
}

// Its pooler may have been restarted with it, and a SetPrimary may have come before the server was up.
TEST(Monitor, AFormerLeaderIsRewoundBeforeItFollows) {
  MonitorView view = Follower();
  view.conninfo_differs = true;
  view.led_last = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kFlagDivergence);
  view.conninfo_differs = false;  // it has been: the new leader's rule is on its way
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
}

TEST(Monitor, AReceiverOnAnEarlierTimelineGetsNothingOfItsLeader) {
  EXPECT_TRUE(GetsWalOf(4, "streaming", 5));
  EXPECT_TRUE(GetsWalOf(4, "streaming", 6));
  EXPECT_FALSE(GetsWalOf(4, "streaming", 4));
  EXPECT_FALSE(GetsWalOf(4, "waiting", 5));
  EXPECT_FALSE(GetsWalOf(4, "", 5));
}

TEST(Monitor, AFollowerThatIsCutOffWhileItsLeaderWritesHasDiverged) {
  MonitorView view = Follower();
  view.cut_off = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kFlagDivergence);
}

TEST(Monitor, ALeaderKeepsItsStandbyListAndTellsWhenItCanBeRewoundAgainst) {
  MonitorView view = Leader();
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
  view.checkpointed_as_primary = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kMarkRewindReady);
  view.sync_standbys_differ = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kRepairSyncStandbys);
}

TEST(Monitor, ANewProcessOverALeadingServerAsksTheQuorumFirst) {
  MonitorView view = Leader();
  view.writable_leader = false;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kNone);
  view.could_readmit = true;
  EXPECT_EQ(DecideMonitorAction(view), MonitorAction::kReadmit);
}

}  // namespace
}  // namespace multigres::pooler::manager
