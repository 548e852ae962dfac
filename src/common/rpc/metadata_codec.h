// Metadata as headers: base64 for "-bin" keys, and the limits on sizes.
#pragma once

#include <boost/container/small_vector.hpp>

#include <list>
#include <span>
#include <string>
#include <string_view>

#include "common/rpc/http2_stream.h"
#include "common/rpc/metadata.h"
#include "tools/result/error.h"

namespace multigres::rpc {

// A list of headers in the making, with the strings that have to be made for it.
class HeaderList {
 public:
  // `value` must stay where it is until the list has been submitted; so must `name`.
  void Add(std::string_view name, std::string_view value, bool repeats = true);
  void AddMade(std::string_view name, std::string value);
  void Add(const Metadata& metadata);

  std::span<const HeaderField> fields() const { return fields_; }
  // Counted as in RFC 9113 6.5.2.
  std::size_t bytes() const { return bytes_; }
  std::size_t longest() const { return longest_; }
  // False if the metadata has a key or a value that a header can't have.
  bool legal() const { return legal_; }
  // RESOURCE_EXHAUSTED if a header or the whole is larger than what can be sent, INVALID_ARGUMENT if not legal.
  Result<> Check(std::size_t max_list_bytes) const;

 private:
  boost::container::small_vector<HeaderField, 12> fields_;
  std::list<std::string> made_;
  std::size_t bytes_ = 0;
  std::size_t longest_ = 0;
  bool legal_ = true;
};

// Adds a received header, decoded; the values of a "-bin" header may be several, joined by commas. What isn't base64 is
// left out.
void AddReceived(Metadata& metadata, std::string_view name, std::string_view value);

}  // namespace multigres::rpc
