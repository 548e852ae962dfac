// The config file: where it is looked for, and its keys by flag name.
#pragma once

#include <string>
#include <vector>

#include "common/servenv/flags.h"

namespace multigres::servenv {

struct ConfigFileFlags {
  std::vector<std::string> path;            // folders; default: $MTDATAROOT, else $PWD/multigres_local
  std::string type;                         // yaml, json or toml; else the file's extension says
  std::string name = "mtconfig";            // without extension
  std::string file;                         // the file itself
  std::string not_found_handling = "warn";  // warn, ignore, error, exit
  Duration persistence_min_interval = std::chrono::seconds(1);
};

void RegisterConfigFileFlags(FlagSet& flags, ConfigFileFlags* values);

struct ConfigFile {
  std::string path;  // empty = there is none
  FlagSet::FileValues values;
  std::string warning;  // to be logged; empty = none
};

// Finds and reads it. INVALID_ARGUMENT if it is malformed, or missing where that is an error. Flags and environment
// must have been applied to `flags` before.
Result<ConfigFile> LoadConfigFile(const ConfigFileFlags& flags,
                                  const std::function<const char*(const char*)>& environment);
// Values of nested maps are joined by '.': {a: {b: 1}} is a.b.
Result<FlagSet::FileValues> ParseConfig(const std::string& text, std::string_view type);

}  // namespace multigres::servenv
