#include "tools/random/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "tools/result/check.h"

namespace multigres {

namespace {

// Draws from the kernel a block at a time.
class KernelRandom final : public Random {
 public:
  std::uint64_t Next() override {
    if (next_ == block_.size()) Refill();
    return std::exchange(block_[next_++], 0);
  }

 private:
  void Refill() {
    // Up to 256 bytes come whole, once the pool is initialised.
    ssize_t n = -1;
    do {
      n = ::getrandom(block_.data(), sizeof block_, 0);
    } while (n < 0 && errno == EINTR);
    CHECK(n == static_cast<ssize_t>(sizeof block_), "getrandom");
    next_ = 0;
  }

  std::array<std::uint64_t, 32> block_{};
  std::size_t next_ = 32;
};

// xoshiro256**, seeded by splitmix64 (Blackman and Vigna).
class Xoshiro final : public Random {
 public:
  explicit Xoshiro(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      std::uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }
  std::uint64_t Next() override {
    const std::uint64_t result = Rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

 private:
  static std::uint64_t Rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<std::uint64_t, 4> state_;
};

}  // namespace

std::uint64_t Random::Below(std::uint64_t bound) {
  CHECK(bound > 0);
  // Values of the last, incomplete round would favour the small ones.
  const std::uint64_t reject_below = (0 - bound) % bound;
  while (true) {
    const std::uint64_t value = Next();
    if (value >= reject_below) return value % bound;
  }
}

std::int64_t Random::Between(std::int64_t low, std::int64_t high) {
  CHECK(low <= high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const std::uint64_t offset = range == UINT64_MAX ? Next() : Below(range + 1);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + offset);
}

double Random::Fraction() {
  return static_cast<double>(Next() >> 11) * 0x1.0p-53;
}

void Random::Fill(void* bytes, std::size_t size) {
  auto* out = static_cast<unsigned char*>(bytes);
  while (size > 0) {
    const std::uint64_t word = Next();
    const std::size_t n = std::min(size, sizeof word);
    std::memcpy(out, &word, n);
    out += n;
    size -= n;
  }
}

std::unique_ptr<Random> SystemRandom() {
  return std::make_unique<KernelRandom>();
}

std::unique_ptr<Random> SeededRandom(std::uint64_t seed) {
  return std::make_unique<Xoshiro>(seed);
}

Duration Jitter::Next() {
  Duration bound = base_;
  for (int i = 0; i < attempt_ && bound < max_; ++i) bound = bound > max_ / 2 ? max_ : bound * 2;
  if (bound < max_) ++attempt_;
  bound = std::min(bound, max_);
  return Duration(random_.Between(0, bound.count()));
}

std::string RandomId(Random& random, std::size_t length) {
  std::string id(length, '\0');
  for (char& c : id) c = kIdAlphabet[random.Below(kIdAlphabet.size())];
  return id;
}

}  // namespace multigres
