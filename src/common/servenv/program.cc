#include "common/servenv/program.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "common/servenv/build_info.h"
#include "common/servenv/runtime.h"

namespace multigres::servenv {

namespace {

const char* GetEnvironment(const char* name) {
  return std::getenv(name);
}

int Complain(const Error& error) {
  std::fprintf(stderr, "Error: %s\n", error.message().c_str());
  return 1;
}

// All flags of a program, with the fields that the shared ones are bound to.
struct Configuration {
  FlagSet flags;
  LogFlags log;
  RuntimeOptions options;

  Result<> Load(Program& program, const std::vector<std::string>& arguments);
  Result<> Check();
};

Result<> Configuration::Load(Program& program, const std::vector<std::string>& arguments) {
  options.info = program.info();
  options.http.reactors = options.info.default_reactors;
  RegisterHttpFlags(flags, &options.http);
  RegisterLogFlags(flags, &log);
  RegisterGrpcFlags(flags, &options.grpc);
  RegisterConfigFileFlags(flags, &options.config_flags);
  program.RegisterFlags(flags);
  auto parsed = flags.ParseArguments(arguments);
  if (!parsed || flags.help_requested() || flags.version_requested()) return parsed;
  auto environment = flags.ApplyEnvironment(GetEnvironment);
  if (!environment) return environment;
  auto file = LoadConfigFile(options.config_flags, GetEnvironment);
  if (!file) return std::unexpected(std::move(file.error()));
  options.config = std::move(*file);
  auto unknown = flags.ApplyFile(options.config.values, options.config.path);
  if (!unknown) return std::unexpected(std::move(unknown.error()));
  options.unknown_keys = std::move(*unknown);
  return Check();
}

Result<> Configuration::Check() {
  auto required = flags.CheckRequired();
  if (!required) return required;
  auto http = Validate(options.http);
  if (!http) return http;
  auto logging = Validate(log);
  if (!logging) return logging;
  return Validate(options.grpc);
}

void LogConfiguration(const Logger& logger, const RuntimeOptions& options) {
  if (!options.config.warning.empty()) logger.Warn("config file not found", {{"detail", options.config.warning}});
  if (!options.config.path.empty()) logger.Info("config file loaded", {{"path", options.config.path}});
  if (!options.unknown_keys.empty()) {
    logger.Warn("config file has keys that are no flags of this service",
                {{"keys", fmt::format("{}", fmt::join(options.unknown_keys, ","))}});
  }
}

}  // namespace

int RunProgram(int argc, char** argv, Program& program) {
  // What the program owns belongs to the reactors and may be destroyed after this function: so these live on.
  static std::vector<std::unique_ptr<Configuration>> configurations;
  static std::vector<std::unique_ptr<Runtime>> runtimes;
  Configuration& configuration = *configurations.emplace_back(std::make_unique<Configuration>());
  auto loaded = configuration.Load(program, std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  if (!loaded) return Complain(loaded.error());
  RuntimeOptions& options = configuration.options;
  if (configuration.flags.help_requested()) {
    std::fputs(configuration.flags.Help(options.info.name, options.info.description).c_str(), stdout);
    return 0;
  }
  if (configuration.flags.version_requested()) {
    std::puts(BuildInfoJson(options.info.name).c_str());
    return 0;
  }
  Logger logger = Logger::Create({.level = ParseLogLevel(configuration.log.level),
                                  .format = ParseLogFormat(configuration.log.format),
                                  .output = configuration.log.output});
  LogConfiguration(logger, options);
  auto telemetry = ReadTelemetry(GetEnvironment, options.info.name);
  if (!telemetry) return Complain(telemetry.error());
  options.telemetry = std::move(*telemetry);
  auto user = RefuseRoot();
  if (!user) return Complain(user.error());
  options.hostname = options.http.hostname.empty() ? LocalHostname() : options.http.hostname;
  options.test_parent = TestParent::FromEnvironment(GetEnvironment);
  std::signal(SIGPIPE, SIG_IGN);
  Runtime& runtime = *runtimes.emplace_back(std::make_unique<Runtime>(program, configuration.flags, logger, options));
  return runtime.Run();
}

}  // namespace multigres::servenv
