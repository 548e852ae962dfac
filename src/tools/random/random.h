// Randomness as a seam: real, or replayable from a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tools/clock/clock.h"

namespace multigres {

// Not thread safe: one per reactor.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t Next() = 0;
  // Uniform in [0, bound); bound > 0.
  std::uint64_t Below(std::uint64_t bound);
  // Uniform in [low, high].
  std::int64_t Between(std::int64_t low, std::int64_t high);
  // Uniform in [0, 1).
  double Fraction();
  void Fill(void* bytes, std::size_t size);
};

// From the kernel's generator (getrandom): fit for keys.
std::unique_ptr<Random> SystemRandom();
// The same sequence for the same seed.
std::unique_ptr<Random> SeededRandom(std::uint64_t seed);

// Delays between attempts with full jitter: the n-th (from 0) is uniform in [0, min(max, base * 2^n)].
class Jitter {
 public:
  Jitter(Random& random, Duration base, Duration max) : random_(random), base_(base), max_(max) {}
  Duration Next();
  void Reset() { attempt_ = 0; }

 private:
  Random& random_;
  Duration base_;
  Duration max_;
  int attempt_ = 0;
};

// `length` characters of the alphabet that service ids are made of (no vowels, nothing that looks alike).
inline constexpr std::string_view kIdAlphabet = "bcdfghjklmnpqrstvwxz2456789";
std::string RandomId(Random& random, std::size_t length = 8);

}  // namespace multigres
