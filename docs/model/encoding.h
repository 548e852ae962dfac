// A state as bytes: the same for all states that differ only in names.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "model/state.h"

namespace multigres::model {

// Nodes other than A start alike, and attempts are told apart only by what they do, so renaming either makes no
// difference to what can follow. (A is the first leader.)
class Encoder {
 public:
  explicit Encoder(const Model& model);

  // The least encoding among all renamings of the nodes, attempts in an order of their own. Valid until the next call.
  std::string_view Canonical(const State& state);
  static State Decode(const Model& model, std::string_view bytes);

 private:
  using Naming = std::array<NodeId, kMaxNodes>;  // old to new

  // No state of these bounds needs more; checked.
  static constexpr std::size_t kMostBytes = 1024;
  struct Buffer {
    std::array<char, kMostBytes> bytes;
    std::size_t size = 0;
    std::string_view view() const { return {bytes.data(), size}; }
  };

  void Encode(const State& state, const Naming& naming, Buffer& out) const;

  const int nodes_;
  std::vector<Naming> namings_;
  std::array<Buffer, 2> buffers_;
};

std::uint64_t Hash(std::string_view bytes);

}  // namespace multigres::model
