// What happened in a run, as lines by virtual time: kept for a failure's report, and digested, so that two runs can be
// compared.
#pragma once

#include <fmt/format.h>

#include <deque>
#include <optional>
#include <string>

#include "tools/clock/clock.h"

namespace multigres::sim {

class Trace {
 public:
  explicit Trace(Clock& clock) : clock_(clock), start_(clock.Now()) {}

  template <class... Args>
  void Note(fmt::format_string<Args...> format, Args&&... args) {
    Add(fmt::format(format, std::forward<Args>(args)...));
  }
  // The first violation ends the run.
  template <class... Args>
  void Violate(fmt::format_string<Args...> format, Args&&... args) {
    SetViolation(fmt::format(format, std::forward<Args>(args)...));
  }
  // A log line of the code under test; only kept, and only with `verbose`.
  void NoteLog(std::string_view line);

  const std::optional<std::string>& violation() const { return violation_; }
  std::uint64_t digest() const { return digest_; }
  std::string Last() const;

  bool verbose = false;  // keeps log lines and more of everything

 private:
  void Add(std::string text);
  void SetViolation(std::string text);
  void Keep(std::string text);

  Clock& clock_;
  const TimePoint start_;
  std::uint64_t digest_ = 14695981039346656037U;
  std::optional<std::string> violation_;
  std::deque<std::string> lines_;
};

}  // namespace multigres::sim
