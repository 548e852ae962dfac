// Call metadata: gRPC's custom headers and trailers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multigres::rpc {

// Keys are lower case. A key that ends in "-bin" carries bytes (base64 on the wire, decoded here).
class Metadata {
 public:
  void Add(std::string key, std::string value) { entries_.emplace_back(std::move(key), std::move(value)); }
  // The first value of the key; empty if there is none.
  std::string_view Get(std::string_view key) const;
  bool Has(std::string_view key) const;
  const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace multigres::rpc
