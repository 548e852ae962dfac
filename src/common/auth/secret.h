// Secrets in memory: wiped when they go, compared in constant time.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace multigres::auth {

// 32 secret bytes (a SHA-256 wide key). Zeroed at destruction; copies are as secret as the original.
class SecretKey {
 public:
  static constexpr std::size_t kSize = 32;

  SecretKey() = default;
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();

  // False unless `bytes` has kSize bytes.
  bool Assign(std::string_view bytes);
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes_.data()), kSize}; }
  std::uint8_t* data() { return bytes_.data(); }
  const std::uint8_t* data() const { return bytes_.data(); }
  // Constant time.
  bool operator==(const SecretKey& other) const;

 private:
  std::array<std::uint8_t, kSize> bytes_{};
};

// Constant time for equal lengths.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

// Zeroes the string's memory and empties it.
void Wipe(std::string& secret);

}  // namespace multigres::auth
