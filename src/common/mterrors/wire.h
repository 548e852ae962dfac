// Errors across the hop between gateway and pooler. The whole error rides as details (google.rpc.Status with an
// mtrpc.RPCError) in the trailer grpc-status-details-bin; grpc-status and grpc-message are for peers that don't know
// it.
#pragma once

#include <memory>

#include "tools/async/cancel_token.h"
#include "tools/result/error.h"

namespace query {
class ReservedState;
}

namespace multigres::mterrors {

// Of Error::message() on the wire.
inline constexpr std::size_t kMaxMessageBytes = 7680;
// Of the trailer's value, in base64. (nghttp2 ends a whole connection for a header of more than 64 KiB.)
inline constexpr std::size_t kMaxEncodedDetailBytes = std::size_t{32} * 1024;

// What a handler returns for `error`: its code (UNKNOWN for those that gRPC doesn't have) and the details. Where they
// would be too long, the longest texts are cut, all to the same length. PRE_EXECUTION_UNAVAILABLE of an error that
// doesn't say kDidNotExecute goes out as UNAVAILABLE: the receiver would send the statement again. An error with a
// SQLSTATE of our own goes out as a diagnostic of severity ERROR. `reserved_state`: how the session's reservation
// stands after the error, where the stream couldn't say it; may be null.
Error ToWire(const Error& error, const ::query::ReservedState* reserved_state = nullptr);

// Would ToWire() carry the error's diagnostic whole? If not, it belongs into the stream's last message too.
bool FitsTheWire(const Error& error);

// What an error of a call to a pooler means to the gateway's client; first match wins:
// - DEADLINE_EXCEEDED or CANCELED: 57014, worded by `reason` (why the gateway's own side ended the call, if it did)
// - details with a diagnostic: that diagnostic, verbatim
// - other details: their code and message
// - the request provably never reached a handler: PRE_EXECUTION_UNAVAILABLE, 57P03
// - else the bare status.
Error FromWire(const Error& error, CancelReason reason = CancelReason::kNone);

// The reservation's state among the error's details; null if there is none.
std::unique_ptr<::query::ReservedState> ReservedStateOf(const Error& error);

}  // namespace multigres::mterrors
