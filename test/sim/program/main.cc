// The simulation's program: many seeds, one seed with its trace, or every safety rule off in turn.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "test/sim/run.h"
#include "test/sim/safety_off.h"

namespace {

using multigres::consensus::SafetyRule;
using multigres::consensus::SafetyRuleOff;

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 100;
  std::optional<std::uint64_t> seed;
  std::optional<SafetyRule> off;
  bool verbose = false;
  bool each_rule = false;
  int workers = 2;
};

int Usage() {
  std::fprintf(stderr,
               "sim [--seeds N] [--first N] [--workers N] [--off RULE]   many seeds, in N processes\n"
               "sim --seed N [--verbose] [--off RULE]                    one seed, with its trace\n"
               "sim --each-rule-off [--seeds N] [--workers N]            which seed catches each rule's absence\n"
               "RULE is one of:\n");
  for (SafetyRule rule : multigres::consensus::AllSafetyRules()) {
    std::fprintf(stderr, "  %s\n", std::string(multigres::consensus::SafetyRuleName(rule)).c_str());
  }
  return 2;
}

bool Parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--verbose") {
      options.verbose = true;
      continue;
    }
    if (flag == "--each-rule-off") {
      options.each_rule = true;
      continue;
    }
    if (++i >= argc) return false;
    if (flag == "--seeds") {
      options.seeds = std::strtoull(argv[i], nullptr, 10);
    } else if (flag == "--first") {
      options.first = std::strtoull(argv[i], nullptr, 10);
    } else if (flag == "--seed") {
      options.seed = std::strtoull(argv[i], nullptr, 10);
    } else if (flag == "--workers") {
      options.workers = std::atoi(argv[i]);
    } else if (flag == "--off") {
      options.off = multigres::consensus::ParseSafetyRule(argv[i]);
      if (!options.off) return false;
    } else {
      return false;
    }
  }
  return true;
}

// One worker's share. Returns how many violations it found.
int Work(const Options& options, int worker) {
  int found = 0;
  int for_operators = 0;
  std::uint64_t acknowledged = 0;
  std::int64_t terms = 0;
  for (std::uint64_t i = static_cast<std::uint64_t>(worker); i < options.seeds;
       i += static_cast<std::uint64_t>(options.workers)) {
    const auto outcome = multigres::sim::RunSeed(options.first + i);
    acknowledged += outcome.acknowledged;
    terms += outcome.term;
    if (outcome.needs_operator) ++for_operators;
    if (!outcome.violation) continue;
    ++found;
    std::printf("seed %llu (%s): VIOLATION: %s\n", static_cast<unsigned long long>(outcome.seed), outcome.shape.c_str(),
                outcome.violation->c_str());
    std::fflush(stdout);
  }
  std::printf("worker %d: %llu acknowledged commits, %lld terms, %d runs that only an operator could end\n", worker,
              static_cast<unsigned long long>(acknowledged), static_cast<long long>(terms), for_operators);
  std::fflush(stdout);
  return std::min(found, 100);
}

int RunMany(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<pid_t> workers;
  for (int worker = 0; worker < options.workers; ++worker) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(Work(options, worker));
    workers.push_back(child);
  }
  int violations = 0;
  for (const pid_t worker : workers) {
    int status = 0;
    ::waitpid(worker, &status, 0);
    if (WIFEXITED(status)) {
      violations += WEXITSTATUS(status);
    } else {
      std::printf("a worker ended by signal %d\n", WTERMSIG(status));
      ++violations;
    }
  }
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%llu seeds from %llu in %.1f s: %.1f seeds/s, %d violations\n",
              static_cast<unsigned long long>(options.seeds), static_cast<unsigned long long>(options.first), elapsed,
              static_cast<double>(options.seeds) / elapsed, violations);
  return violations == 0 ? 0 : 1;
}

// One line of docs/simulation.md.
void SearchWithout(SafetyRule rule, const Options& options) {
  const SafetyRuleOff off(rule);
  const std::string name(multigres::consensus::SafetyRuleName(rule));
  for (std::uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) {
    const auto outcome = multigres::sim::RunSeed(seed);
    if (!outcome.violation) continue;
    std::printf("| %s | %llu | %s |\n", name.c_str(), static_cast<unsigned long long>(seed),
                outcome.violation->c_str());
    std::fflush(stdout);
    return;
  }
  std::printf("| %s | not in %llu | |\n", name.c_str(), static_cast<unsigned long long>(options.seeds));
  std::fflush(stdout);
}

// A process for each, so that one that breaks something else ends alone.
int RunEachRule(const Options& options) {
  int running = 0;
  for (SafetyRule rule : multigres::consensus::AllSafetyRules()) {
    if (running == options.workers) {
      ::wait(nullptr);
      --running;
    }
    if (::fork() == 0) {
      SearchWithout(rule, options);
      ::_exit(0);
    }
    ++running;
  }
  while (::wait(nullptr) > 0) {
  }
  return 0;
}

int RunOne(const Options& options) {
  const auto outcome = multigres::sim::RunSeed(*options.seed, options.verbose);
  std::printf("%s", outcome.trace.c_str());
  std::printf("seed %llu (%s): %s; %zu acknowledged commits, term %lld, digest %016llx\n",
              static_cast<unsigned long long>(outcome.seed), outcome.shape.c_str(),
              outcome.violation        ? outcome.violation->c_str()
              : outcome.needs_operator ? "only an operator could end it"
                                       : "no violation",
              outcome.acknowledged, static_cast<long long>(outcome.term),
              static_cast<unsigned long long>(outcome.digest));
  return outcome.violation ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, options)) return Usage();
  std::optional<SafetyRuleOff> off;
  if (options.off) off.emplace(*options.off);
  if (options.each_rule) return RunEachRule(options);
  return options.seed ? RunOne(options) : RunMany(options);
}
