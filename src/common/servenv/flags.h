// Flags of a program, bound to the fields of its config structs, and where their values come from:
// explicit flag > environment > config file > the field's own initial value.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::servenv {

struct FlagOptions {
  // Environment variable; set but empty = unset. Unless given: the set's env_prefix + the name in upper case with '_'
  // for '-', or none if there is no prefix.
  std::string env;
  bool secret = false;    // never shown, by /config or in an error
  bool required = false;  // `--cell is required`
  bool hidden = false;    // not in --help
  // The value may change while the program runs, when the config file does: called on the main reactor after the field
  // was set. Other flags keep the value they started with.
  std::function<void()> on_change;
};

// Where a value is put. Durations are written as "250ms" or "1h30m" (0 needs no unit); lists as "a,b" or by repeating
// the flag, in the environment separated by white space, in files as sequences.
using FlagTarget = std::variant<std::string*, bool*, std::int32_t*, std::int64_t*, std::uint16_t*, std::uint32_t*,
                                std::uint64_t*, double*, Duration*, std::vector<std::string>*>;

enum class FlagSource : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };

class FlagSet {
 public:
  FlagSet();
  ~FlagSet();
  FlagSet(const FlagSet&) = delete;
  FlagSet& operator=(const FlagSet&) = delete;

  // `target` must outlive the set; its present value is the default. A name is added once (CHECK).
  void Add(std::string name, FlagTarget target, std::string help, FlagOptions options = {});
  // Applies to flags added from now on: "MT_" makes --pg-port read MT_PG_PORT.
  void SetEnvPrefix(std::string prefix) { env_prefix_ = std::move(prefix); }

  // Takes "--name value", "--name=value", "--bool" (true) and "--bool=false". `environment` gives a variable's value or
  // null. INVALID_ARGUMENT with one sentence. Positional arguments are refused unless `positional` takes them.
  Result<> ParseArguments(const std::vector<std::string>& arguments, std::vector<std::string>* positional = nullptr);
  Result<> ApplyEnvironment(const std::function<const char*(const char*)>& environment);
  // Values of a config file by flag name (see config_file.h). Keys that are no flag are returned.
  using FileValues = std::map<std::string, std::vector<std::string>>;
  Result<std::vector<std::string>> ApplyFile(const FileValues& values, std::string_view file);
  // `--x is required` for the first required flag that nothing has set.
  Result<> CheckRequired() const;
  // The live flags whose value in the file changed: sets them and calls their on_change. Returns their names.
  Result<std::vector<std::string>> Reload(const FileValues& values, std::string_view file);

  // --help was given.
  bool help_requested() const { return help_requested_; }
  bool version_requested() const { return version_requested_; }
  std::string Help(std::string_view program, std::string_view description) const;

  struct Entry {
    std::string name;
    std::string help;
    std::string value;  // as it would be written; "****" for a secret that is set
    std::string json;   // the same as a JSON value; durations in nanoseconds
    FlagSource source = FlagSource::kDefault;
  };
  // By name.
  std::vector<Entry> Entries() const;
  // By the flag itself, the environment or a file.
  bool IsSet(std::string_view name) const;

 private:
  struct Flag;
  Flag* Find(std::string_view name) const;
  Result<> Assign(Flag& flag, const std::vector<std::string>& values, FlagSource source, std::string_view where);

  std::vector<std::unique_ptr<Flag>> flags_;
  std::string env_prefix_;
  bool help_requested_ = false;
  bool version_requested_ = false;
};

// "1h30m", "250ms", "1.5s", "0", "-2m"; units h m s ms us ns.
Result<Duration> ParseDuration(std::string_view text);
std::string FormatDuration(Duration duration);

}  // namespace multigres::servenv
