// postgresql.auto.conf of a server that is down: what ALTER SYSTEM would write.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/result/error.h"

namespace multigres::pooler::replication {

// Sets or removes each setting. Atomic and durable.
struct AutoConfChange {
  std::string name;
  bool remove = false;
  std::string value;
};
Result<> EditAutoConf(const std::string& data_dir, const std::vector<AutoConfChange>& changes);

}  // namespace multigres::pooler::replication
