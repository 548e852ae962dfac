#include "common/rpc/metadata_codec.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/rpc/base64.h"
#include "common/rpc/limits.h"

namespace multigres::rpc {

namespace {

// gRPC's rule ("ASCII-Value", lower-case keys), which is narrower than HTTP/2's.
bool IsLegal(std::string_view key, std::string_view value) {
  const auto in_key = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  const auto in_value = [](char c) { return c >= 0x20 && c <= 0x7e; };
  if (key.empty() || !std::ranges::all_of(key, in_key) || key.starts_with("grpc-")) return false;
  return key.ends_with("-bin") ||
         (std::ranges::all_of(value, in_value) && !value.starts_with(' ') && !value.ends_with(' '));
}

}  // namespace

void HeaderList::Add(std::string_view name, std::string_view value, bool repeats) {
  fields_.push_back({name, value, repeats});
  bytes_ += name.size() + value.size() + kHeaderOverheadBytes;
  longest_ = std::max({longest_, name.size(), value.size()});
}

void HeaderList::AddMade(std::string_view name, std::string value) {
  made_.push_back(std::move(value));
  Add(name, made_.back(), false);
}

void HeaderList::Add(const Metadata& metadata) {
  for (const auto& [key, value] : metadata.entries()) {
    legal_ = legal_ && IsLegal(key, value);
    if (key.ends_with("-bin")) {
      AddMade(key, EncodeBase64(value));
    } else {
      Add(key, value, false);
    }
  }
}

Result<> HeaderList::Check(std::size_t max_list_bytes) const {
  if (!legal_) return Fail(Code::kInvalidArgument, "metadata has a key or a value that can't be sent");
  if (longest_ > kMaxHeaderBytes) {
    return Fail(Code::kResourceExhausted,
                fmt::format("metadata value larger than max ({} vs. {} bytes)", longest_, kMaxHeaderBytes));
  }
  if (bytes_ > max_list_bytes) {
    return Fail(Code::kResourceExhausted,
                fmt::format("metadata larger than max ({} vs. {} bytes)", bytes_, max_list_bytes));
  }
  return {};
}

void AddReceived(Metadata& metadata, std::string_view name, std::string_view value) {
  if (!name.ends_with("-bin")) {
    metadata.Add(std::string(name), std::string(value));
    return;
  }
  while (true) {
    const std::size_t comma = value.find(',');
    std::string_view one = value.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (auto bytes = DecodeBase64(one)) metadata.Add(std::string(name), std::move(*bytes));
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

}  // namespace multigres::rpc
