// Expectations about results, inside coroutines.
#pragma once

#include <gtest/gtest.h>

#include "common/topoclient/errors.h"

namespace multigres::topo {

// Ends the coroutine of a test when it can't go on.
#define CO_ASSERT(condition)         \
  do {                               \
    const bool held = !!(condition); \
    EXPECT_TRUE(held) << #condition; \
    if (!held) co_return;            \
  } while (false)
#define EXPECT_KIND(result, kind) EXPECT_TRUE(!(result) && Is((result).error(), ErrorKind::kind)) << Explain(result)

template <class T>
std::string Explain(const Result<T>& result) {
  return result ? "it succeeded" : result.error().ToString();
}

}  // namespace multigres::topo
