#include "common/servenv/flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "common/servenv/flag_value.h"
#include "tools/result/check.h"

namespace multigres::servenv {

struct FlagSet::Flag {
  std::string name;
  FlagTarget target;
  std::string help;
  FlagOptions options;
  FlagSource source = FlagSource::kDefault;
  std::string default_text;
  std::vector<std::string> default_values;
  std::vector<std::string> file_values;  // as last seen; empty = not in the file

  bool is_bool() const { return std::holds_alternative<bool*>(target); }
  bool is_list() const { return std::holds_alternative<std::vector<std::string>*>(target); }
};

namespace {

std::string EnvironmentName(std::string_view prefix, std::string_view flag) {
  std::string name(prefix);
  for (const char c : flag) name.push_back(c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
  return name;
}

std::vector<std::string> SplitAtSpace(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const auto begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const auto word = text.substr(0, text.find_first_of(" \t\r\n"));
    words.emplace_back(word);
    text.remove_prefix(word.size());
  }
}

// What CLI11 refuses, in our words. Its text begins with the flag's name.
Error ToError(const CLI::ParseError& error) {
  const std::string text = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return Error(Code::kInvalidArgument, "flag needs a value: " + text.substr(0, text.find(':')));
  }
  return Error(Code::kInvalidArgument, text);
}

}  // namespace

FlagSet::FlagSet() = default;
FlagSet::~FlagSet() = default;

void FlagSet::Add(std::string name, FlagTarget target, std::string help, FlagOptions options) {
  CHECK(Find(name) == nullptr, name);
  auto flag = std::make_unique<Flag>();
  flag->name = std::move(name);
  flag->target = target;
  flag->help = std::move(help);
  flag->options = std::move(options);
  flag->default_text = ValueText(target);
  flag->default_values = SaveValue(target);
  if (flag->options.env.empty() && !env_prefix_.empty()) {
    flag->options.env = EnvironmentName(env_prefix_, flag->name);
  }
  flags_.push_back(std::move(flag));
}

FlagSet::Flag* FlagSet::Find(std::string_view name) const {
  for (const auto& flag : flags_) {
    if (flag->name == name) return flag.get();
  }
  return nullptr;
}

// A lower source never overrides a higher one, so the order of the calls doesn't matter.
Result<> FlagSet::Assign(Flag& flag, const std::vector<std::string>& values, FlagSource source,
                         std::string_view where) {
  if (source < flag.source) return {};
  auto set = SetValue(flag.target, values);
  if (!set) {
    const std::string shown = flag.options.secret ? "value" : "value '" + values.back() + "'";
    return Fail(Code::kInvalidArgument,
                "invalid " + shown + " for " + std::string(where) + ": " + set.error().message());
  }
  flag.source = source;
  return {};
}

Result<> FlagSet::ParseArguments(const std::vector<std::string>& arguments, std::vector<std::string>* positional) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<std::pair<Flag*, CLI::Option*>> options;
  for (const auto& flag : flags_) {
    CLI::Option* option = flag->is_bool()
                              ? app.add_flag("--" + flag->name)
                              : app.add_option("--" + flag->name, [](const CLI::results_t&) { return true; });
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (!flag->is_bool()) option->expected(1)->allow_extra_args(false);
    options.emplace_back(flag.get(), option);
  }
  app.add_flag("-h,--help", help_requested_);
  app.add_flag("--version", version_requested_);

  // "--name=" is an empty value, which CLI11 would take from the next argument.
  std::vector<std::string> words;
  for (const std::string& argument : arguments) {
    const auto equals = argument.find('=');
    const Flag* flag = argument.starts_with("--") && equals != std::string::npos
                           ? Find(std::string_view(argument).substr(2, equals - 2))
                           : nullptr;
    if (flag != nullptr && !flag->is_bool()) {
      words.push_back(argument.substr(0, equals));
      words.push_back(argument.substr(equals + 1));
    } else {
      words.push_back(argument);
    }
  }
  std::reverse(words.begin(), words.end());  // what CLI11 wants
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return std::unexpected(ToError(error));
  }
  for (const std::string& extra : app.remaining()) {
    if (extra == "--") continue;
    if (extra.size() > 1 && extra.starts_with('-')) {
      return Fail(Code::kInvalidArgument, "unknown flag: " + extra.substr(0, extra.find('=')));
    }
    if (positional == nullptr) return Fail(Code::kInvalidArgument, "unexpected argument '" + extra + "'");
    positional->push_back(extra);
  }
  for (const auto& [flag, option] : options) {
    if (option->count() == 0) continue;
    auto assigned = Assign(*flag, option->results(), FlagSource::kFlag, "--" + flag->name);
    if (!assigned) return assigned;
  }
  return {};
}

Result<> FlagSet::ApplyEnvironment(const std::function<const char*(const char*)>& environment) {
  for (const auto& flag : flags_) {
    if (flag->options.env.empty()) continue;
    const char* value = environment(flag->options.env.c_str());
    if (value == nullptr || *value == '\0') continue;
    const auto values = flag->is_list() ? SplitAtSpace(value) : std::vector<std::string>{value};
    auto assigned = Assign(*flag, values, FlagSource::kEnvironment, "environment variable " + flag->options.env);
    if (!assigned) return assigned;
  }
  return {};
}

Result<std::vector<std::string>> FlagSet::ApplyFile(const FileValues& values, std::string_view file) {
  std::vector<std::string> unknown;
  for (const auto& [name, given] : values) {
    Flag* flag = Find(name);
    if (flag == nullptr) {
      unknown.push_back(name);
      continue;
    }
    if (given.size() != 1 && !flag->is_list()) {
      return Fail(Code::kInvalidArgument, name + " in " + std::string(file) + " takes one value, not a list");
    }
    auto assigned = Assign(*flag, given, FlagSource::kFile, name + " in " + std::string(file));
    if (!assigned) return std::unexpected(std::move(assigned.error()));
    flag->file_values = given;
  }
  return unknown;
}

Result<std::vector<std::string>> FlagSet::Reload(const FileValues& values, std::string_view file) {
  std::vector<std::string> changed;
  for (const auto& flag : flags_) {
    if (!flag->options.on_change || flag->source > FlagSource::kFile) continue;
    const auto found = values.find(flag->name);
    const std::vector<std::string> given = found == values.end() ? std::vector<std::string>{} : found->second;
    if (given == flag->file_values) continue;
    if (given.size() > 1 && !flag->is_list()) {
      return Fail(Code::kInvalidArgument, flag->name + " in " + std::string(file) + " takes one value, not a list");
    }
    flag->source = FlagSource::kDefault;
    const bool gone = found == values.end();
    auto assigned = Assign(*flag, gone ? flag->default_values : given, gone ? FlagSource::kDefault : FlagSource::kFile,
                           flag->name + " in " + std::string(file));
    if (!assigned) return std::unexpected(std::move(assigned.error()));
    flag->file_values = given;
    changed.push_back(flag->name);
    flag->options.on_change();
  }
  return changed;
}

Result<> FlagSet::CheckRequired() const {
  for (const auto& flag : flags_) {
    if (flag->options.required && ValueText(flag->target).empty()) {
      return Fail(Code::kInvalidArgument, "--" + flag->name + " is required");
    }
  }
  return {};
}

std::string FlagSet::Help(std::string_view program, std::string_view description) const {
  std::string out = fmt::format("{}\n\nUsage: {} [flags]\n\nFlags:\n", description, program);
  std::vector<const Flag*> sorted;
  for (const auto& flag : flags_) {
    if (!flag->options.hidden) sorted.push_back(flag.get());
  }
  std::sort(sorted.begin(), sorted.end(), [](const Flag* a, const Flag* b) { return a->name < b->name; });
  for (const Flag* flag : sorted) {
    std::string left = "  --" + flag->name;
    if (const auto type = TypeName(flag->target); !type.empty()) left.append(" ").append(type);
    std::string notes;
    if (flag->options.required) {
      notes = " (required)";
    } else if (!flag->default_text.empty() && !flag->options.secret) {
      notes = " (default " + flag->default_text + ")";
    }
    if (!flag->options.env.empty()) notes += " [" + flag->options.env + "]";
    out.append(fmt::format("{:<48} {}{}\n", left, flag->help, notes));
  }
  out.append(fmt::format("{:<48} {}\n{:<48} {}\n", "  --help", "show this text", "  --version", "show the build"));
  return out;
}

std::vector<FlagSet::Entry> FlagSet::Entries() const {
  std::vector<Entry> entries;
  for (const auto& flag : flags_) {
    const bool mask = flag->options.secret && !ValueText(flag->target).empty();
    entries.push_back({flag->name, flag->help, mask ? "****" : ValueText(flag->target),
                       mask ? "\"****\"" : ValueJson(flag->target), flag->source});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

bool FlagSet::IsSet(std::string_view name) const {
  const Flag* flag = Find(name);
  CHECK(flag != nullptr, name);
  return flag->source != FlagSource::kDefault;
}

}  // namespace multigres::servenv
