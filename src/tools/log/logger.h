// Structured logging: an event (stable, lower case) and its fields (snake_case), one line per record.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "tools/result/error.h"

namespace multigres {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kJson, kText };

// One attribute of a record. Refers to its key and text: build it in the call, don't keep it. Durations are logged as
// integer nanoseconds, errors as Error::ToString().
class Field {
 public:
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool, const Error*>;

  Field(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  Field(std::string_view key, const std::string& value) : key_(key), value_(std::string_view(value)) {}
  Field(std::string_view key, const char* value) : key_(key), value_(std::string_view(value)) {}
  Field(std::string_view key, const Error& value) : key_(key), value_(&value) {}
  template <std::same_as<bool> T>
  Field(std::string_view key, T value) : key_(key), value_(value) {}
  template <std::signed_integral T>
  Field(std::string_view key, T value) : key_(key), value_(static_cast<std::int64_t>(value)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Field(std::string_view key, T value) : key_(key), value_(static_cast<std::uint64_t>(value)) {}
  template <std::floating_point T>
  Field(std::string_view key, T value) : key_(key), value_(static_cast<double>(value)) {}
  template <class Rep, class Period>
  Field(std::string_view key, std::chrono::duration<Rep, Period> value)
      : key_(key), value_(std::int64_t{std::chrono::duration_cast<std::chrono::nanoseconds>(value).count()}) {}

  std::string_view key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  std::string_view key_;
  Value value_;
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  std::string output = "stdout";  // stdout, stderr or a file, which is appended to; one that can't be opened = stdout
  // The time of a record; the system clock unless set.
  std::function<std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>()> now;
};

// As the flags --log-level and --log-format give them, any case. Unknown: info, json.
LogLevel ParseLogLevel(std::string_view text);
LogFormat ParseLogFormat(std::string_view text);

// A cheap value that any thread may use; copies write to the same output. The default one discards everything.
// A record below the level costs one comparison.
class Logger {
 public:
  Logger() = default;
  static Logger Create(LogOptions options);
  // For tests: gives each line, without its end, to `sink` (under a lock).
  static Logger ToSink(LogOptions options, std::function<void(std::string_view)> sink);

  // A logger whose records all carry these fields, before their own.
  Logger With(std::initializer_list<Field> fields) const;

  void Debug(std::string_view event, std::initializer_list<Field> fields = {}) const {
    Log(LogLevel::kDebug, event, fields);
  }
  void Info(std::string_view event, std::initializer_list<Field> fields = {}) const {
    Log(LogLevel::kInfo, event, fields);
  }
  void Warn(std::string_view event, std::initializer_list<Field> fields = {}) const {
    Log(LogLevel::kWarn, event, fields);
  }
  void Error(std::string_view event, std::initializer_list<Field> fields = {}) const {
    Log(LogLevel::kError, event, fields);
  }
  void Log(LogLevel level, std::string_view event, std::initializer_list<Field> fields) const {
    if (level >= level_) Write(level, event, fields);
  }
  bool Enabled(LogLevel level) const { return level >= level_; }

 private:
  struct Core;
  void Write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) const;

  std::shared_ptr<Core> core_;
  std::shared_ptr<const std::string> context_;  // the fields of With(), rendered
  LogLevel level_ = static_cast<LogLevel>(255);
};

}  // namespace multigres
