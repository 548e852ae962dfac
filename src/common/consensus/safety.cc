#include "common/consensus/safety.h"

namespace multigres::consensus {

thread_local std::uint64_t SafetySwitchboard::off_ = 0;

}  // namespace multigres::consensus
