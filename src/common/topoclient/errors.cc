#include "common/topoclient/errors.h"

#include <array>

namespace multigres::topo {

namespace {

struct KindTraits {
  ErrorKind kind;
  Code code;
  std::string_view prefix;
};

// One gRPC code for each kind. NoUpdateNeeded and NoReadOnlyImplementation never leave a process; they borrow codes
// that the store has no other use for.
constexpr std::array<KindTraits, 12> kKinds = {{
    {ErrorKind::kNodeExists, Code::kAlreadyExists, "node already exists: "},
    {ErrorKind::kNoNode, Code::kNotFound, "node doesn't exist: "},
    {ErrorKind::kNodeNotEmpty, Code::kFailedPrecondition, "node not empty: "},
    {ErrorKind::kTimeout, Code::kDeadlineExceeded, "deadline exceeded: "},
    {ErrorKind::kInterrupted, Code::kCanceled, "interrupted: "},
    {ErrorKind::kBadVersion, Code::kAborted, "bad node version: "},
    {ErrorKind::kPartialResult, Code::kDataLoss, "partial result: "},
    {ErrorKind::kNoUpdateNeeded, Code::kOutOfRange, "no update needed: "},
    {ErrorKind::kNoImplementation, Code::kUnimplemented, "no such topology implementation: "},
    {ErrorKind::kNoReadOnlyImplementation, Code::kReadOnly, "no read-only topology implementation: "},
    {ErrorKind::kResourceExhausted, Code::kResourceExhausted, ""},
    {ErrorKind::kBadInput, Code::kInvalidArgument, ""},
}};

}  // namespace

Error TopoError(ErrorKind kind, std::string_view subject) {
  for (const auto& traits : kKinds) {
    if (traits.kind != kind) continue;
    return Error(traits.code, fmt::format("topo error [{}]: {}{}", static_cast<int>(kind), traits.prefix, subject));
  }
  return Error(Code::kInternal, std::string(subject));
}

ErrorKind KindOf(const Error& error) {
  for (const auto& traits : kKinds) {
    if (traits.code == error.code()) return traits.kind;
  }
  return ErrorKind::kNone;
}

Error NoConnection() {
  return Error(Code::kUnavailable, "no connection available").WithExecution(Execution::kDidNotExecute);
}

}  // namespace multigres::topo
