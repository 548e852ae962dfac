// What can go wrong at the topology store. The kind of a topology error travels as its gRPC code, one for each kind, so
// that it survives context added on the way up and RPC hops; texts are for people ("topo error [1]: node doesn't exist:
// cells/zone1/Cell").
#pragma once

#include <string_view>

#include "tools/result/error.h"

namespace multigres::topo {

// The numbers are those shown in texts.
enum class ErrorKind : int {
  kNone = -1,  // not one of the store's own: no connection (UNAVAILABLE), undecodable record (INTERNAL), ...
  kNodeExists = 0,
  kNoNode = 1,
  kNodeNotEmpty = 2,
  kTimeout = 3,
  kInterrupted = 4,
  kBadVersion = 5,
  kPartialResult = 6,
  kNoUpdateNeeded = 7,
  kNoImplementation = 8,
  kNoReadOnlyImplementation = 9,
  kResourceExhausted = 10,
  kBadInput = 11,
};

// An error of this kind about `subject`: the key, for the kinds 0 to 5, and the whole text for the others.
Error TopoError(ErrorKind kind, std::string_view subject);
inline std::unexpected<Error> FailTopo(ErrorKind kind, std::string_view subject) {
  return std::unexpected(TopoError(kind, subject));
}

// The kind of an error that a call of this library returned.
ErrorKind KindOf(const Error& error);
inline bool Is(const Error& error, ErrorKind kind) {
  return KindOf(error) == kind;
}

// UNAVAILABLE `no connection available`: what every operation answers while its store can't be reached.
Error NoConnection();

}  // namespace multigres::topo
