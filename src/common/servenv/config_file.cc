#include "common/servenv/config_file.h"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tools/fs/file.h"

namespace multigres::servenv {

namespace {

using Values = FlagSet::FileValues;

Error Malformed(std::string text) {
  return Error(Code::kInvalidArgument, std::move(text));
}

std::string Join(const std::string& prefix, const std::string& key) {
  return prefix.empty() ? key : prefix + "." + key;
}

Result<> Flatten(const YAML::Node& node, const std::string& name, Values& out) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      auto flat = Flatten(entry.second, Join(name, entry.first.as<std::string>()), out);
      if (!flat) return flat;
    }
    return {};
  }
  if (node.IsNull()) return {};
  if (name.empty()) return std::unexpected(Malformed("not a map of flag names to values"));
  std::vector<std::string>& values = out[name];
  if (node.IsScalar()) {
    values.push_back(node.as<std::string>());
    return {};
  }
  for (const auto& item : node) {
    if (!item.IsScalar()) return std::unexpected(Malformed(name + ": a list of lists or maps is no flag's value"));
    values.push_back(item.as<std::string>());
  }
  return {};
}

Result<Values> ParseYaml(const std::string& text) {
  Values values;
  try {
    const YAML::Node root = YAML::Load(text);
    auto flat = Flatten(root, "", values);
    if (!flat) return std::unexpected(std::move(flat.error()));
  } catch (const YAML::Exception& error) {
    return std::unexpected(Malformed(error.what()));
  }
  return values;
}

std::string Scalar(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Result<> Flatten(const nlohmann::json& node, const std::string& name, Values& out) {
  if (node.is_object()) {
    for (const auto& [key, value] : node.items()) {
      auto flat = Flatten(value, Join(name, key), out);
      if (!flat) return flat;
    }
    return {};
  }
  if (node.is_null()) return {};
  if (name.empty()) return std::unexpected(Malformed("not an object of flag names and values"));
  std::vector<std::string>& values = out[name];
  if (!node.is_array()) {
    values.push_back(Scalar(node));
    return {};
  }
  for (const auto& item : node) {
    if (item.is_structured())
      return std::unexpected(Malformed(name + ": a list of lists or objects is no flag's value"));
    values.push_back(Scalar(item));
  }
  return {};
}

Result<Values> ParseJson(const std::string& text) {
  Values values;
  try {
    auto flat = Flatten(nlohmann::json::parse(text), "", values);
    if (!flat) return std::unexpected(std::move(flat.error()));
  } catch (const nlohmann::json::exception& error) {
    return std::unexpected(Malformed(error.what()));
  }
  return values;
}

Result<Values> ParseToml(const std::string& text) {
  Values values;
  try {
    std::istringstream stream(text);
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(stream)) {
      if (item.name == "++" || item.name == "--") continue;  // begin and end of a section
      values[item.fullname()] = item.inputs;
    }
  } catch (const CLI::Error& error) {
    return std::unexpected(Malformed(error.what()));
  }
  return values;
}

std::string ExtensionOf(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto dot = path.rfind('.');
  const bool has = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  return has ? path.substr(dot + 1) : "";
}

std::vector<std::string> DefaultFolders(const std::function<const char*(const char*)>& environment) {
  const char* root = environment("MTDATAROOT");
  if (root != nullptr && *root != '\0') return {root};
  std::array<char, 4096> folder;
  if (::getcwd(folder.data(), folder.size()) == nullptr) return {};
  return {std::string(folder.data()) + "/multigres_local"};
}

// Empty if none of the places has one.
std::string Search(const ConfigFileFlags& flags, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    for (const char* extension : {"yaml", "yml", "json", "toml"}) {
      std::string path = folder + "/" + flags.name + "." + extension;
      if (fs::Exists(path)) return path;
    }
  }
  return {};
}

Result<ConfigFile> NotFound(const ConfigFileFlags& flags, std::string what) {
  const std::string& handling = flags.not_found_handling;
  if (handling == "error" || handling == "exit") return Fail(Code::kInvalidArgument, std::move(what));
  return ConfigFile{.warning = handling == "warn" ? std::move(what) : ""};
}

}  // namespace

void RegisterConfigFileFlags(FlagSet& flags, ConfigFileFlags* values) {
  flags.Add("config-path", &values->path, "folders to look for the config file in", {.env = "VT_CONFIG_PATH"});
  flags.Add("config-type", &values->type, "type of the config file: yaml, json or toml", {.env = "MT_CONFIG_TYPE"});
  flags.Add("config-name", &values->name, "name of the config file, without extension", {.env = "MT_CONFIG_NAME"});
  flags.Add("config-file", &values->file, "the config file", {.env = "MT_CONFIG_FILE"});
  flags.Add("config-file-not-found-handling", &values->not_found_handling,
            "if there is no config file: warn, ignore, error or exit");
  flags.Add("config-persistence-min-interval", &values->persistence_min_interval,
            "how often the config file is looked at for changes", {.env = "MT_CONFIG_PERSISTENCE_MIN_INTERVAL"});
}

Result<FlagSet::FileValues> ParseConfig(const std::string& text, std::string_view type) {
  if (type == "yaml" || type == "yml") return ParseYaml(text);
  if (type == "json") return ParseJson(text);
  if (type == "toml") return ParseToml(text);
  return Fail(Code::kInvalidArgument, "unsupported type '" + std::string(type) + "', use yaml, json or toml");
}

Result<ConfigFile> LoadConfigFile(const ConfigFileFlags& flags,
                                  const std::function<const char*(const char*)>& environment) {
  const std::string& handling = flags.not_found_handling;
  if (handling != "warn" && handling != "ignore" && handling != "error" && handling != "exit") {
    return Fail(Code::kInvalidArgument, "invalid value '" + handling +
                                            "' for --config-file-not-found-handling: not warn, ignore, error or exit");
  }
  ConfigFile file{.path = flags.file};
  if (file.path.empty()) {
    const auto folders = flags.path.empty() ? DefaultFolders(environment) : flags.path;
    file.path = Search(flags, folders);
    if (file.path.empty()) {
      return NotFound(flags, fmt::format("no config file '{}' (.yaml, .yml, .json, .toml) in {}", flags.name,
                                         fmt::join(folders, ", ")));
    }
  }
  auto text = fs::ReadFile(file.path);
  if (!text && text.error().code() == Code::kNotFound) {
    return NotFound(flags, "config file '" + file.path + "' not found");
  }
  if (!text) return Fail(Code::kInvalidArgument, "config file: " + text.error().message());
  auto values = ParseConfig(*text, flags.type.empty() ? ExtensionOf(file.path) : flags.type);
  if (!values) return Fail(Code::kInvalidArgument, "config file '" + file.path + "': " + values.error().message());
  file.values = std::move(*values);
  return file;
}

}  // namespace multigres::servenv
