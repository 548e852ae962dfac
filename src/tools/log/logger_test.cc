#include "tools/log/logger.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tools/log/encode.h"

namespace multigres {
namespace {

WallNanos FixedTime() {
  using namespace std::chrono;
  return WallNanos(sys_days{2026y / January / 2} + hours(3) + minutes(4) + seconds(5) + nanoseconds(6));
}

class LoggerTest : public testing::Test {
 protected:
  Logger Make(LogFormat format, LogLevel level = LogLevel::kDebug) {
    return Logger::ToSink({.level = level, .format = format, .now = FixedTime},
                          [this](std::string_view line) { lines_.emplace_back(line); });
  }
  std::vector<std::string> lines_;
};

TEST_F(LoggerTest, JsonLineIsGolden) {
  Make(LogFormat::kJson)
      .Info("pool opened", {{"pool", std::string("p 1")},
                            {"size", 5},
                            {"bytes", std::size_t{18446744073709551615u}},
                            {"ratio", 0.5},
                            {"ready", true},
                            {"took", std::chrono::milliseconds(3)},
                            {"error", Error(Code::kNotFound, "no \"cell\"")}});
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(
      lines_[0],
      R"({"time":"2026-01-02T03:04:05.000000006Z","level":"INFO","msg":"pool opened","pool":"p 1","size":5,)"
      R"("bytes":18446744073709551615,"ratio":0.5,"ready":true,"took":3000000,"error":"NOT_FOUND: no \"cell\""})");
}

TEST_F(LoggerTest, TextLineIsGolden) {
  Make(LogFormat::kText)
      .Warn("slow query", {{"took", std::chrono::seconds(1)}, {"user", "a=b"}, {"id", "x"}, {"e", ""}});
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0],
            R"(time=2026-01-02T03:04:05.000000006Z level=WARN msg="slow query" took=1000000000 user="a=b" id=x e="")");
}

TEST_F(LoggerTest, EscapesControlCharactersAndBadUtf8) {
  Make(LogFormat::kJson).Error("x", {{"v", std::string("a\n\x01\xff\xc3\xa9\xed\xa0\x80")}});
  EXPECT_NE(lines_.at(0).find("\"v\":\"a\\n\\u0001\\ufffd\xc3\xa9\\ufffd\\ufffd\\ufffd\""), std::string::npos)
      << lines_[0];
}

TEST_F(LoggerTest, WithPutsItsFieldsBeforeTheRecordsOwn) {
  const Logger base = Make(LogFormat::kText);
  const Logger child = base.With({{"cell", "zone1"}}).With({{"id", 7}});
  child.Info("a", {{"k", "v"}});
  base.Info("b");
  EXPECT_EQ(lines_.at(0), "time=2026-01-02T03:04:05.000000006Z level=INFO msg=a cell=zone1 id=7 k=v");
  EXPECT_EQ(lines_.at(1), "time=2026-01-02T03:04:05.000000006Z level=INFO msg=b");
}

TEST_F(LoggerTest, DropsRecordsBelowItsLevel) {
  const Logger logger = Make(LogFormat::kJson, LogLevel::kWarn);
  logger.Debug("d");
  logger.Info("i");
  logger.Warn("w");
  logger.Error("e");
  EXPECT_EQ(lines_.size(), 2u);
  EXPECT_FALSE(logger.Enabled(LogLevel::kInfo));
}

TEST(LoggerDefault, DiscardsEverything) {
  const Logger logger;
  EXPECT_FALSE(logger.Enabled(LogLevel::kError));
  logger.Error("nobody hears", {{"k", 1}});
  logger.With({{"a", 1}}).Error("still nobody");
}

TEST(LoggerOutput, AppendsToItsFile) {
  const std::string path = testing::TempDir() + "/logger_test_" + std::to_string(::getpid()) + ".log";
  {
    std::ofstream(path) << "before\n";
  }
  Logger::Create({.format = LogFormat::kText, .output = path, .now = FixedTime}).Info("after");
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  EXPECT_EQ(content.str(), "before\ntime=2026-01-02T03:04:05.000000006Z level=INFO msg=after\n");
  ::unlink(path.c_str());
}

TEST(LoggerOutput, FallsBackToStdoutIfTheFileCannotBeOpened) {
  testing::internal::CaptureStdout();
  Logger::Create({.format = LogFormat::kText, .output = "/proc/no/such/file", .now = FixedTime}).Info("here");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "time=2026-01-02T03:04:05.000000006Z level=INFO msg=here\n");
}

TEST(LogFlags, UnknownLevelIsInfoAndUnknownFormatIsJson) {
  EXPECT_EQ(ParseLogLevel("DEBUG"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("warn"), LogLevel::kWarn);
  EXPECT_EQ(ParseLogLevel("Error"), LogLevel::kError);
  EXPECT_EQ(ParseLogLevel("loud"), LogLevel::kInfo);
  EXPECT_EQ(ParseLogFormat("text"), LogFormat::kText);
  EXPECT_EQ(ParseLogFormat("xml"), LogFormat::kJson);
}

}  // namespace
}  // namespace multigres
