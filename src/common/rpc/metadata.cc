#include "common/rpc/metadata.h"

#include <algorithm>

namespace multigres::rpc {

std::string_view Metadata::Get(std::string_view key) const {
  const auto it = std::ranges::find(entries_, key, [](const auto& entry) { return std::string_view(entry.first); });
  return it == entries_.end() ? std::string_view() : std::string_view(it->second);
}

bool Metadata::Has(std::string_view key) const {
  return std::ranges::any_of(entries_, [key](const auto& entry) { return entry.first == key; });
}

}  // namespace multigres::rpc
