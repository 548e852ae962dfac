#include "services/multigateway/session/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "query.pb.h"

namespace multigres::gateway::session {
namespace {

using testing::ElementsAre;

std::map<std::string, std::string> AsMap(const SettingsPtr& settings) {
  return {settings->entries().begin(), settings->entries().end()};
}

TEST(Settings, FoldsNamesAndLetsTheLastEntryWin) {
  auto settings = Settings::Make({{"TimeZone", "UTC"}, {"a.B", "1"}, {"timezone", "CET"}});
  EXPECT_EQ(AsMap(settings), (std::map<std::string, std::string>{{"timezone", "CET"}, {"a.b", "1"}}));
}

TEST(SettingsStack, AnUnchangedSettingKeepsTheSharedMap) {
  SettingsStack stack(Settings::Make({{"a", "1"}}), {});
  SettingsPtr before = stack.settings();
  stack.Set("a", "1");
  stack.Reset("b");
  EXPECT_EQ(stack.settings(), before);
}

TEST(SettingsStack, ResetAllKeepsTheRole) {
  SettingsStack stack(Settings::Make({{"a", "1"}}), {});
  stack.Set("role", "bob");
  stack.Set("a", "2");
  stack.Set("b", "3");
  stack.ResetAll();
  EXPECT_EQ(AsMap(stack.settings()), (std::map<std::string, std::string>{{"a", "1"}, {"role", "bob"}}));
  stack.DiscardAll();
  EXPECT_EQ(AsMap(stack.settings()), (std::map<std::string, std::string>{{"a", "1"}}));
}

TEST(SettingsStack, CursorsThatATransactionOpenedGoWithItsRollback) {
  SettingsStack stack(Settings::Empty(), {});
  stack.AddHoldCursor("old");
  stack.AddHoldCursor("closed");
  stack.Begin();
  stack.AddHoldCursor("new");
  stack.RemoveHoldCursor("closed");
  EXPECT_THAT(stack.CursorsOfTransaction(), ElementsAre("new"));
  stack.Rollback();
  EXPECT_THAT(stack.hold_cursors(), ElementsAre("old"));
}

// The obvious model: a full copy of everything at BEGIN and at each savepoint.
class Model {
 public:
  std::map<std::string, std::string> now;
  int timeout = 0;
  std::optional<int> local;

  void Begin() {
    if (frames_.empty()) frames_.push_back({"", now, timeout, local});
  }
  void Commit() {
    frames_.clear();
    local.reset();
  }
  void Rollback() {
    if (frames_.empty()) return;
    Restore(frames_.front());
    frames_.clear();
  }
  void Savepoint(const std::string& name) {
    if (!frames_.empty()) frames_.push_back({name, now, timeout, local});
  }
  void Release(const std::string& name) {
    if (auto at = Find(name)) frames_.resize(*at);
  }
  void RollbackTo(const std::string& name) {
    auto at = Find(name);
    if (!at) return;
    frames_.resize(*at + 1);
    Restore(frames_.back());
  }
  int Timeout() const { return local.value_or(timeout); }

 private:
  struct Frame {
    std::string name;
    std::map<std::string, std::string> settings;
    int timeout;
    std::optional<int> local;
  };
  std::optional<std::size_t> Find(const std::string& name) const {
    for (std::size_t i = frames_.size(); i > 1; i--) {
      if (frames_[i - 1].name == name) return i - 1;
    }
    return std::nullopt;
  }
  void Restore(const Frame& frame) {
    now = frame.settings;
    timeout = frame.timeout;
    local = frame.local;
  }
  std::vector<Frame> frames_;
};

TEST(SettingsStack, BehavesLikeCopiesTakenAtBeginAndSavepoints) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; round++) {
    SettingsStack stack(Settings::Empty(), {});
    Model model;
    for (int step = 0; step < 60; step++) {
      std::string name(1, static_cast<char>('a' + random() % 3));
      std::string value = std::to_string(random() % 5);
      int number = static_cast<int>(random() % 1000);
      switch (random() % 9) {
        case 0:
          stack.Begin();
          model.Begin();
          break;
        case 1:
          if (random() % 3 == 0) {
            stack.Commit();
            model.Commit();
          }
          break;
        case 2:
          if (random() % 3 == 0) {
            stack.Rollback();
            model.Rollback();
          }
          break;
        case 3:
          stack.Savepoint(name);
          model.Savepoint(name);
          break;
        case 4:
          stack.Release(name);
          model.Release(name);
          break;
        case 5:
          stack.RollbackTo(name);
          model.RollbackTo(name);
          break;
        case 6:
          stack.Reset(name);
          model.now.erase(name);
          break;
        case 7:
          stack.mutable_variables().Set(GatewayVariable::kStatementTimeout, number);
          model.timeout = number;
          model.local.reset();
          break;
        default:
          stack.Set(name, value);
          model.now[name] = value;
      }
      ASSERT_EQ(AsMap(stack.settings()), model.now) << "round " << round << " step " << step;
      ASSERT_EQ(stack.variables().Get(GatewayVariable::kStatementTimeout), model.Timeout());
    }
  }
}

TEST(GatewayVariables, ReadTimesAsPostgresDoes) {
  auto parse = [](std::string_view text) { return ParseMilliseconds(GatewayVariable::kStatementTimeout, text); };
  EXPECT_EQ(parse("0").value(), 0);
  EXPECT_EQ(parse(" 100 ").value(), 100);
  EXPECT_EQ(parse("30s").value(), 30'000);
  EXPECT_EQ(parse("1.5 min").value(), 90'000);
  EXPECT_EQ(parse("1600us").value(), 2);
  EXPECT_EQ(parse("1d").value(), 86'400'000);
  EXPECT_EQ(parse("0x10").value(), 16);
  for (std::string_view bad : {"", "x", "1 parsec", "1 S", "s", "-", "1 s s"}) {
    auto result = parse(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().sqlstate(), "22023");
  }
  EXPECT_EQ(parse("-1").error().message(),
            "-1 ms is outside the valid range for parameter \"statement_timeout\" (0 ms .. 2147483647 ms)");
  EXPECT_FALSE(parse("25d"));
}

TEST(GatewayVariables, ShowTimesAsPostgresDoes) {
  EXPECT_EQ(FormatMilliseconds(0), "0");
  EXPECT_EQ(FormatMilliseconds(1500), "1500ms");
  EXPECT_EQ(FormatMilliseconds(30'000), "30s");
  EXPECT_EQ(FormatMilliseconds(60'000), "1min");
  EXPECT_EQ(FormatMilliseconds(7'200'000), "2h");
  EXPECT_EQ(FormatMilliseconds(86'400'000), "1d");
}

TEST(ReportedParameters, TellsAChangeOnceAndOnlyIfItIsOne) {
  ReportedParameters reported({{"TimeZone", "UTC"}, {"DateStyle", "ISO, MDY"}});
  reported.Observe("timezone", "CET");
  reported.Observe("timezone", "UTC");
  EXPECT_TRUE(reported.TakeChanges().empty());
  reported.Observe("timezone", "CET");
  reported.Observe("work_mem", "4MB");
  EXPECT_THAT(reported.TakeChanges(), ElementsAre(std::pair<std::string, std::string>("TimeZone", "CET")));
  EXPECT_TRUE(reported.TakeChanges().empty());
}

TEST(ReportedParameters, RollbackRestoresWhatBeginFound) {
  ReportedParameters reported({{"TimeZone", "UTC"}});
  reported.Begin();
  reported.Observe("TimeZone", "CET");
  reported.TakeChanges();
  reported.Rollback();
  EXPECT_THAT(reported.TakeChanges(), ElementsAre(std::pair<std::string, std::string>("TimeZone", "UTC")));
}

TEST(Session, TheEndOfATransactionEndsItsPortals) {
  Session session({}, Settings::Empty(), {}, ReportedParameters({}));
  session.BeginTransaction("BEGIN", false);
  auto source = std::make_shared<StatementSource>();
  ASSERT_TRUE(session.portals().Bind(source, {.portal = "p"}));
  EXPECT_EQ(session.portals().Bind(source, {.portal = "p"}).error().sqlstate(), "42P03");
  session.portals().Find("p")->state = Portal::State::kSuspended;
  session.CommitTransaction();
  EXPECT_EQ(session.portals().Find("p"), nullptr);
  EXPECT_THAT(session.portals_to_release(), ElementsAre("p"));
  EXPECT_EQ(session.status_byte(), 'I');
}

TEST(Session, APortalKeepsItsValues) {
  Portals portals;
  std::string_view raw("\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0", 14);
  auto portal =
      portals.Bind(std::make_shared<StatementSource>(), {.portal = "p", .parameters = pgwire::FieldList(3, raw)});
  ASSERT_TRUE(portal);
  EXPECT_THAT((*portal)->bound->param_lengths(), ElementsAre(2, -1, 0));
  EXPECT_EQ((*portal)->bound->param_values(), "ab");
  std::string_view bad_format("\0\7", 2);
  EXPECT_EQ(portals.Bind(nullptr, {.result_formats = pgwire::Int16List(bad_format)}).error().message(),
            "unsupported format code: 7");
}

}  // namespace
}  // namespace multigres::gateway::session
