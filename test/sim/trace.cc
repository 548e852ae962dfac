#include "test/sim/trace.h"

namespace multigres::sim {

namespace {

constexpr std::size_t kKept = 120;
constexpr std::size_t kKeptVerbose = 4000;

}  // namespace

void Trace::Keep(std::string text) {
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now() - start_).count();
  lines_.push_back(fmt::format("{:>7}.{:03} {}", at / 1000, at % 1000, text));
  if (lines_.size() > (verbose ? kKeptVerbose : kKept)) lines_.pop_front();
}

// FNV-1a, of the time and the text.
void Trace::Add(std::string text) {
  const auto mix = [this](const void* bytes, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      digest_ = (digest_ ^ static_cast<const unsigned char*>(bytes)[i]) * 1099511628211U;
    }
  };
  const std::int64_t now = clock_.Now().time_since_epoch().count();
  mix(&now, sizeof now);
  mix(text.data(), text.size());
  Keep(std::move(text));
}

void Trace::SetViolation(std::string text) {
  Add("VIOLATION: " + text);
  if (!violation_) violation_ = std::move(text);
}

void Trace::NoteLog(std::string_view line) {
  if (verbose) Keep("        " + std::string(line));
}

std::string Trace::Last() const {
  std::string text;
  for (const std::string& line : lines_) text += line + "\n";
  return text;
}

}  // namespace multigres::sim
