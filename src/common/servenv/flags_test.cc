#include "common/servenv/flags.h"

#include <gtest/gtest.h>

#include "common/servenv/common_flags.h"
#include "common/servenv/config_file.h"
#include "common/servenv/endpoints.h"
#include "common/servenv/telemetry.h"
#include "tools/fs/file.h"
#include "tools/result/check.h"

namespace multigres::servenv {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct Config {
  std::string name = "none";
  bool loud = false;
  std::int32_t count = 3;
  std::uint16_t port = 0;
  double ratio = 0.5;
  Duration timeout = seconds(5);
  std::vector<std::string> cells;
  std::string password;
};

using Variables = std::map<std::string, std::string>;

std::function<const char*(const char*)> From(const Variables& variables) {
  return [&variables](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

class FlagsTest : public testing::Test {
 protected:
  FlagsTest() {
    flags_.Add("name", &config_.name, "a name");
    flags_.SetEnvPrefix("MT_");
    flags_.Add("loud", &config_.loud, "speak up");
    flags_.Add("count", &config_.count, "how many");
    flags_.Add("http-port", &config_.port, "a port");
    flags_.Add("ratio", &config_.ratio, "a ratio");
    flags_.Add("wait-timeout", &config_.timeout, "how long");
    flags_.Add("cells", &config_.cells, "where", {.env = "THE_CELLS", .on_change = [this] { ++changes_; }});
    flags_.Add("password", &config_.password, "a secret", {.secret = true});
  }
  std::string ErrorOf(const std::vector<std::string>& arguments) {
    auto parsed = flags_.ParseArguments(arguments);
    return parsed ? "" : parsed.error().message();
  }
  std::string JsonOf(const std::string& name) {
    for (const auto& entry : flags_.Entries()) {
      if (entry.name == name) return entry.json;
    }
    return "absent";
  }

  Config config_;
  FlagSet flags_;
  int changes_ = 0;
};

TEST_F(FlagsTest, ParsesEveryForm) {
  ASSERT_EQ(ErrorOf({"--name", "x y", "--loud", "--count=-7", "--http-port", "8080", "--ratio=1.25", "--wait-timeout",
                     "1m30s", "--cells", "a,b", "--cells=c", "--password="}),
            "");
  EXPECT_EQ(config_.name, "x y");
  EXPECT_TRUE(config_.loud);
  EXPECT_EQ(config_.count, -7);
  EXPECT_EQ(config_.port, 8080);
  EXPECT_EQ(config_.ratio, 1.25);
  EXPECT_EQ(config_.timeout, seconds(90));
  EXPECT_EQ(config_.cells, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(config_.password, "");
}

TEST_F(FlagsTest, ValuesMayLookLikeFlagsListsOrNothing) {
  ASSERT_EQ(ErrorOf({"--name", "[::1]", "--count", "-5", "--loud=false"}), "");
  EXPECT_EQ(config_.name, "[::1]");
  EXPECT_EQ(config_.count, -5);
  EXPECT_FALSE(config_.loud);
  ASSERT_EQ(ErrorOf({"--name=", "--loud"}), "");
  EXPECT_EQ(config_.name, "");
  EXPECT_TRUE(config_.loud);
  ASSERT_EQ(ErrorOf({"--name=a=b"}), "");
  EXPECT_EQ(config_.name, "a=b");
}

TEST_F(FlagsTest, LastOccurrenceCounts) {
  ASSERT_EQ(ErrorOf({"--name=a", "--name", "b", "--loud", "--loud=false"}), "");
  EXPECT_EQ(config_.name, "b");
  EXPECT_FALSE(config_.loud);
}

TEST_F(FlagsTest, BadInputGetsOneSentence) {
  EXPECT_EQ(ErrorOf({"--nope=1"}), "unknown flag: --nope");
  EXPECT_EQ(ErrorOf({"-x"}), "unknown flag: -x");
  EXPECT_EQ(ErrorOf({"stray"}), "unexpected argument 'stray'");
  EXPECT_EQ(ErrorOf({"--name"}), "flag needs a value: --name");
  EXPECT_EQ(ErrorOf({"--http-port", "65536"}),
            "invalid value '65536' for --http-port: not a whole number from 0 to 65535");
  EXPECT_EQ(ErrorOf({"--count", "1.5"}),
            "invalid value '1.5' for --count: not a whole number from -2147483648 to 2147483647");
  EXPECT_EQ(ErrorOf({"--wait-timeout=5"}),
            "invalid value '5' for --wait-timeout: not a duration such as 250ms, 5s or 1h30m");
  EXPECT_EQ(ErrorOf({"--loud=maybe"}), "invalid value 'maybe' for --loud: not true or false");
  EXPECT_EQ(ErrorOf({"--ratio=x"}), "invalid value 'x' for --ratio: not a number");
}

TEST_F(FlagsTest, PositionalArgumentsGoToWhoeverAsks) {
  std::vector<std::string> rest;
  ASSERT_TRUE(flags_.ParseArguments({"a", "--name", "n", "b"}, &rest));
  EXPECT_EQ(rest, (std::vector<std::string>{"a", "b"}));
}

TEST_F(FlagsTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const Variables variables{{"MT_COUNT", "20"}, {"MT_HTTP_PORT", "20"}, {"NAME", "not this one"}};
  ASSERT_TRUE(flags_.ParseArguments({"--count=10"}));
  ASSERT_TRUE(flags_.ApplyEnvironment(From(variables)));
  ASSERT_TRUE(flags_.ApplyFile({{"count", {"30"}}, {"http-port", {"30"}}, {"ratio", {"30"}}}, "f.yaml"));
  EXPECT_EQ(config_.count, 10);
  EXPECT_EQ(config_.port, 20);
  EXPECT_EQ(config_.ratio, 30);
  EXPECT_EQ(config_.name, "none");
  EXPECT_TRUE(flags_.IsSet("ratio"));
  EXPECT_FALSE(flags_.IsSet("name"));
  std::map<std::string, FlagSource> sources;
  for (const auto& entry : flags_.Entries()) sources[entry.name] = entry.source;
  EXPECT_EQ(sources["count"], FlagSource::kFlag);
  EXPECT_EQ(sources["http-port"], FlagSource::kEnvironment);
  EXPECT_EQ(sources["ratio"], FlagSource::kFile);
  EXPECT_EQ(sources["name"], FlagSource::kDefault);
}

TEST_F(FlagsTest, EmptyVariableIsUnsetAndListsSplitAtSpace) {
  const Variables variables{{"MT_COUNT", ""}, {"THE_CELLS", " zone1  zone2\n"}, {"MT_CELLS", "no"}};
  ASSERT_TRUE(flags_.ApplyEnvironment(From(variables)));
  EXPECT_EQ(config_.count, 3);
  EXPECT_EQ(config_.cells, (std::vector<std::string>{"zone1", "zone2"}));
}

TEST_F(FlagsTest, ErrorsNameTheVariableOrTheFile) {
  const Variables variables{{"MT_COUNT", "many"}};
  EXPECT_EQ(flags_.ApplyEnvironment(From(variables)).error().message(),
            "invalid value 'many' for environment variable MT_COUNT: not a whole number from -2147483648 to "
            "2147483647");
  EXPECT_EQ(flags_.ApplyFile({{"count", {"1", "2"}}}, "f.yaml").error().message(),
            "count in f.yaml takes one value, not a list");
  EXPECT_EQ(*flags_.ApplyFile({{"other", {"1"}}}, "f.yaml"), std::vector<std::string>{"other"});
}

TEST_F(FlagsTest, SecretsAreNeverShown) {
  ASSERT_TRUE(flags_.ParseArguments({"--password", "hunter2", "--wait-timeout=250ms", "--cells=a,b"}));
  EXPECT_EQ(JsonOf("password"), "\"****\"");
  EXPECT_EQ(JsonOf("wait-timeout"), "250000000");
  EXPECT_EQ(JsonOf("cells"), "[\"a\",\"b\"]");
  const std::string json = ConfigJson(flags_);
  EXPECT_EQ(json.find("hunter2"), std::string::npos);
  EXPECT_NE(json.find("\"wait-timeout\": \"250ms\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"wait-timeout\": 250000000"), std::string::npos) << json;
  EXPECT_EQ(json.find("\"name\": \"none\"", json.find("\"config\"")) != std::string::npos, true);
  EXPECT_EQ(ConfigHtml(flags_, "<T>").find("hunter2"), std::string::npos);
  EXPECT_NE(ConfigHtml(flags_, "<T>").find("&lt;T&gt;"), std::string::npos);
}

TEST_F(FlagsTest, ReloadChangesLiveFlagsOnlyAndNeverThoseSetHigher) {
  ASSERT_TRUE(flags_.ApplyFile({{"cells", {"a"}}, {"count", {"1"}}}, "f"));
  EXPECT_EQ(*flags_.Reload({{"cells", {"b", "c"}}, {"count", {"2"}}}, "f"), std::vector<std::string>{"cells"});
  EXPECT_EQ(config_.cells, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(config_.count, 1);
  EXPECT_EQ(changes_, 1);
  EXPECT_TRUE(flags_.Reload({{"cells", {"b", "c"}}}, "f")->empty());
  EXPECT_EQ(flags_.Reload({}, "f")->size(), 1u);
  EXPECT_TRUE(config_.cells.empty());
  ASSERT_TRUE(flags_.ParseArguments({"--cells=flag"}));
  EXPECT_TRUE(flags_.Reload({{"cells", {"z"}}}, "f")->empty());
  EXPECT_EQ(config_.cells, std::vector<std::string>{"flag"});
}

TEST_F(FlagsTest, HelpNamesFlagsDefaultsAndVariables) {
  ASSERT_TRUE(flags_.ParseArguments({"--help"}));
  EXPECT_TRUE(flags_.help_requested());
  const std::string help = flags_.Help("svc", "Does things.");
  EXPECT_TRUE(help.starts_with("Does things.\n\nUsage: svc [flags]\n")) << help;
  EXPECT_NE(help.find("--wait-timeout duration"), std::string::npos);
  EXPECT_NE(help.find("how long (default 5s) [MT_WAIT_TIMEOUT]"), std::string::npos) << help;
}

TEST(RequiredFlag, IsMissedByName) {
  std::string cell;
  FlagSet flags;
  flags.Add("cell", &cell, "", {.required = true});
  EXPECT_EQ(flags.CheckRequired().error().message(), "--cell is required");
  ASSERT_TRUE(flags.ParseArguments({"--cell=zone1"}));
  EXPECT_TRUE(flags.CheckRequired());
}

TEST(Duration, IsParsedAndFormatted) {
  EXPECT_EQ(*ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(*ParseDuration("1h30m"), hours(1) + minutes(30));
  EXPECT_EQ(*ParseDuration("1.5s"), milliseconds(1500));
  EXPECT_EQ(*ParseDuration("-2m"), minutes(-2));
  EXPECT_EQ(*ParseDuration("0"), Duration::zero());
  EXPECT_EQ(*ParseDuration("infinity"), Duration::max());
  for (const char* bad : {"", "5", "s", "1x", "1h30", "-", "1..5s", "1 s", "999999999h"}) {
    EXPECT_FALSE(ParseDuration(bad)) << bad;
  }
  for (const char* text : {"1h30m", "250ms", "1s500ms", "-2m", "0s", "infinity", "1us", "7ns"}) {
    EXPECT_EQ(FormatDuration(*ParseDuration(text == std::string("0s") ? "0" : text)), text);
  }
}

TEST(ConfigParser, ReadsYamlJsonAndToml) {
  const FlagSet::FileValues expected{
      {"http-port", {"15000"}}, {"cells", {"a", "b"}}, {"log.level", {"debug"}}, {"loud", {"true"}}};
  EXPECT_EQ(*ParseConfig("http-port: 15000\ncells: [a, b]\nlog:\n  level: debug\nloud: true\nnothing:\n", "yaml"),
            expected);
  EXPECT_EQ(
      *ParseConfig(R"({"http-port": 15000, "cells": ["a", "b"], "log": {"level": "debug"}, "loud": true})", "json"),
      expected);
  EXPECT_EQ(*ParseConfig("http-port = 15000\ncells = [\"a\", \"b\"]\nloud = true\n[log]\nlevel = \"debug\"\n", "toml"),
            expected);
  EXPECT_TRUE(ParseConfig("", "yaml")->empty());
}

TEST(ConfigParser, RefusesWhatIsNoConfig) {
  EXPECT_FALSE(ParseConfig("a: [1, 2", "yaml"));
  EXPECT_FALSE(ParseConfig("just text", "yaml"));
  EXPECT_FALSE(ParseConfig("a: [[1]]", "yaml"));
  EXPECT_FALSE(ParseConfig("{\"a\": }", "json"));
  EXPECT_FALSE(ParseConfig("[1]", "json"));
  EXPECT_EQ(ParseConfig("", "hcl").error().message(), "unsupported type 'hcl', use yaml, json or toml");
}

class ConfigFileTest : public testing::Test {
 protected:
  ConfigFileTest() : folder_(MakeFolder()) {}
  static fs::TempDir MakeFolder() {
    auto folder = fs::TempDir::Create("config");
    CHECK(folder);
    return std::move(*folder);
  }
  std::string Write(const std::string& name, std::string_view text) {
    CHECK(fs::WriteFileAtomic(folder_.path() + "/" + name, text));
    return folder_.path() + "/" + name;
  }
  Result<ConfigFile> Load(const ConfigFileFlags& flags) { return LoadConfigFile(flags, From(variables_)); }

  fs::TempDir folder_;
  Variables variables_;
};

TEST_F(ConfigFileTest, IsFoundByNameInItsFoldersOrByItself) {
  const std::string path = Write("mtconfig.yml", "http-port: 1\n");
  const std::string other = Write("other.conf", "http-port: 2\n");
  EXPECT_EQ(Load({.path = {"/no/such", folder_.path()}})->path, path);
  variables_["MTDATAROOT"] = folder_.path();
  EXPECT_EQ(Load({})->path, path);
  EXPECT_EQ(Load({.type = "yaml", .file = other})->values, (FlagSet::FileValues{{"http-port", {"2"}}}));
  EXPECT_FALSE(Load({.file = other}));
}

TEST_F(ConfigFileTest, MissingFileIsHandledAsAsked) {
  const ConfigFileFlags missing{.path = {folder_.path()}, .name = "x"};
  EXPECT_EQ(Load(missing)->warning, "no config file 'x' (.yaml, .yml, .json, .toml) in " + folder_.path());
  ConfigFileFlags flags = missing;
  flags.not_found_handling = "ignore";
  EXPECT_EQ(Load(flags)->warning, "");
  flags.not_found_handling = "error";
  EXPECT_FALSE(Load(flags));
  flags.not_found_handling = "exit";
  EXPECT_FALSE(Load(flags));
  flags.not_found_handling = "shrug";
  EXPECT_FALSE(Load(flags));
  EXPECT_EQ(Load({.file = "/no/such.yaml"})->warning, "config file '/no/such.yaml' not found");
}

TEST_F(ConfigFileTest, MalformedFileFailsWithItsName) {
  const std::string path = Write("bad.yaml", "a: [1\n");
  const auto loaded = Load({.file = path});
  ASSERT_FALSE(loaded);
  EXPECT_TRUE(loaded.error().message().starts_with("config file '" + path + "': ")) << loaded.error().message();
}

TEST(SharedFlags, DefaultsAreTheSpecifiedOnes) {
  HttpFlags http;
  GrpcFlags grpc;
  TopoFlags topo;
  FlagSet flags;
  RegisterHttpFlags(flags, &http);
  RegisterGrpcFlags(flags, &grpc);
  RegisterTopoFlags(flags, &topo);
  std::map<std::string, std::string> values;
  for (const auto& entry : flags.Entries()) values[entry.name] = entry.value;
  EXPECT_EQ(values["http-port"], "0");
  EXPECT_EQ(values["lameduck-period"], "50ms");
  EXPECT_EQ(values["onterm-timeout"], "30s");
  EXPECT_EQ(values["onclose-timeout"], "10s");
  EXPECT_EQ(values["grpc-port"], "0");
  EXPECT_EQ(values["grpc-max-connection-age"], "infinity");
  EXPECT_EQ(values["grpc-server-keepalive-time"], "10s");
  EXPECT_EQ(values["topo-read-concurrency"], "32");
  EXPECT_EQ(values["topo-etcd-lease-ttl"], "30");
  EXPECT_EQ(values["lock-timeout"], "45s");
  EXPECT_EQ(values["remote-operation-timeout"], "15s");
}

TEST(SampleConfigs, LoadAndAreValid) {
  const char* source = std::getenv("MULTIGRES_SOURCE_DIR");
  if (source == nullptr) GTEST_SKIP() << "MULTIGRES_SOURCE_DIR is not set";
  for (const char* service : {"multiadmin", "multigateway", "multiorch", "multipooler", "pgctld"}) {
    HttpFlags http;
    LogFlags log;
    GrpcFlags grpc;
    TopoFlags topo;
    FlagSet flags;
    RegisterHttpFlags(flags, &http);
    RegisterLogFlags(flags, &log);
    RegisterGrpcFlags(flags, &grpc);
    RegisterTopoFlags(flags, &topo);
    const Variables none;
    const auto file = LoadConfigFile(
        {.file = std::string(source) + "/config/" + service + ".yaml", .not_found_handling = "error"}, From(none));
    ASSERT_TRUE(file) << file.error().message();
    const auto own = flags.ApplyFile(file->values, service);
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_GE(http.port, 15'000);
    EXPECT_GT(grpc.port, 15'000);
    EXPECT_TRUE(Validate(http) && Validate(log) && Validate(grpc));
  }
}

TEST(SharedFlags, WhatDoesNotFitTogetherIsRefused) {
  EXPECT_TRUE(Validate(GrpcFlags{}));
  EXPECT_FALSE(Validate(GrpcFlags{.ca = "ca"}));
  EXPECT_FALSE(Validate(GrpcFlags{.cert = "c"}));
  EXPECT_FALSE(Validate(GrpcFlags{.crl = "c"}));
  EXPECT_FALSE(Validate(GrpcFlags{.enable_optional_tls = true}));
  EXPECT_FALSE(Validate(GrpcFlags{.auth_mode = "mtls"}));
  EXPECT_FALSE(Validate(GrpcFlags{.auth_mode = "static"}));
  EXPECT_TRUE(Validate(
      GrpcFlags{.cert = "c", .key = "k", .ca = "a", .auth_mode = "mtls", .auth_mtls_allowed_substrings = "CN=x"}));
  EXPECT_FALSE(Validate(HttpFlags{.pprof = {"cpu"}}));
  EXPECT_FALSE(Validate(LogFlags{.err_stacks = true}));
  EXPECT_FALSE(Validate(PoolerClientFlags{.require_tls = true}));
}

TEST(Telemetry, TakesWhatIsBuiltInAndRefusesTheRest) {
  Variables variables;
  EXPECT_FALSE(ReadTelemetry(From(variables), "svc")->prometheus);
  variables = {{"OTEL_METRICS_EXPORTER", "prometheus,console"},
               {"OTEL_TRACES_EXPORTER", "none"},
               {"OTEL_EXPORTER_PROMETHEUS_PORT", "1234"},
               {"OTEL_SERVICE_NAME", "other"}};
  const auto options = ReadTelemetry(From(variables), "svc");
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->prometheus && options->console_metrics);
  EXPECT_EQ(options->prometheus_port, 1234);
  EXPECT_EQ(options->service_name, "other");
  variables = {{"OTEL_TRACES_EXPORTER", "otlp"}};
  EXPECT_EQ(ReadTelemetry(From(variables), "svc").error().message(),
            "OTEL_TRACES_EXPORTER=otlp: this exporter is not built in; use none");
  variables = {{"OTEL_METRICS_EXPORTER", "otlp"}};
  EXPECT_FALSE(ReadTelemetry(From(variables), "svc"));
  variables = {{"OTEL_EXPORTER_PROMETHEUS_PORT", "x"}};
  EXPECT_FALSE(ReadTelemetry(From(variables), "svc"));
}

TEST(StatusPage, RendersItsPartsEscaped) {
  StatusPage page("A & B");
  page.AddRow("Cell", "<zone1>");
  std::string problem;
  page.AddInitialization([&] { return problem; });
  page.AddTables([] { return std::vector<StatusTable>{{"Poolers", {"Name"}, {{StatusCell("p<1>", "proxy/\"x\"")}}}}; });
  page.AddLink("config", "config");
  std::string html = page.Render();
  EXPECT_NE(html.find("<title>A &amp; B</title>"), std::string::npos);
  EXPECT_NE(html.find("content=\"30\""), std::string::npos);
  EXPECT_NE(html.find("<tr><th>Initialization</th><td>Success</td></tr>"), std::string::npos) << html;
  EXPECT_NE(html.find("<tr><th>Cell</th><td>&lt;zone1&gt;</td></tr>"), std::string::npos);
  EXPECT_NE(html.find("<td><a href=\"proxy/&quot;x&quot;\">p&lt;1&gt;</a></td>"), std::string::npos) << html;
  EXPECT_NE(html.find("<li><a href=\"config\">config</a></li>"), std::string::npos);
  problem = "Failed to register";
  EXPECT_NE(page.Render().find("<tr><th>Initialization</th><td>Failed to register</td></tr>"), std::string::npos);
}

}  // namespace
}  // namespace multigres::servenv
