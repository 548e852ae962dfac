// Decoding of stored records, for the files of this folder that include the messages anyway.
#pragma once

#include "common/topoclient/errors.h"
#include "common/topoclient/record.h"

namespace multigres::topo {

// INTERNAL, with the key in the text, if `contents` isn't a valid M.
template <class M>
Result<Record<M>> Decode(std::string_view key, const std::string& contents, Version version) {
  Record<M> record{.value = {}, .version = version};
  if (!record.value.ParseFromString(contents)) {
    return Fail(Code::kInternal, fmt::format("undecodable record at {}", key));
  }
  return record;
}

}  // namespace multigres::topo
