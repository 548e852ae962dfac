// The errors of query serving that are our own, worded once: gateway, pooler and their clients know them by SQLSTATE.
#pragma once

#include <cstdint>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::mterrors {

inline constexpr std::string_view kQueryCanceled = "57014";
inline constexpr std::string_view kCannotConnectNow = "57P03";
inline constexpr std::string_view kSerializationFailure = "40001";
inline constexpr std::string_view kOutcomeUnknown = "08007";
inline constexpr std::string_view kPlannedFailover = "MTF01";
inline constexpr std::string_view kWrongShard = "MTD01";
inline constexpr std::string_view kBufferFull = "MTB01";
inline constexpr std::string_view kBufferTimeout = "MTB02";
inline constexpr std::string_view kBufferShutdown = "MTB03";

// 57014 `canceling statement due to user request` (CANCELED).
Error CanceledByUser();
// 57014 `canceling statement due to statement timeout` (DEADLINE_EXCEEDED).
Error StatementTimeout();
// 40001 `reserved connection terminated; please retry` with the id in DETAIL (ABORTED).
Error ReservedConnectionTerminated(std::uint64_t reserved_connection_id);
// 08007 `connection to the database was lost; the outcome of the statement is unknown` (UNAVAILABLE): it may have run,
// and may have committed.
Error OutcomeUnknown();
// 08007 `<why>; the outcome of the statement is unknown`.
Error OutcomeUnknown(std::string_view why);
// MTF01 `planned failover in progress` (CLUSTER_EVENT): refused before anything ran.
Error PlannedFailover();
// MTD01 `[BUG] <text>` (FAILED_PRECONDITION): refused before anything ran.
Error WrongShard(std::string_view text);
// 57P03 `no writable primary is currently available` (UNAVAILABLE): nothing was sent.
Error NoWritablePrimary();
// 57P03 `no replica is currently available` (UNAVAILABLE): nothing was sent.
Error NoReplica();
// 57P03 `database is temporarily unavailable; please retry` (PRE_EXECUTION_UNAVAILABLE): nothing ran.
Error TemporarilyUnavailable();
// The same code for a diagnostic that PostgreSQL gave while a backend was being acquired.
Error TemporarilyUnavailable(PgDiagnostic diagnostic);
// MTB01 to MTB03 `failover buffer full`, `... timeout`, `... shutting down` (UNAVAILABLE): nothing was sent.
Error BufferFull();
Error BufferTimeout();
Error BufferShuttingDown();

// SQLSTATEs that mean a lost or refused connection: 08xxx, 57P01, 57P02, 57P03, 57P05.
bool IsConnectionState(std::string_view sqlstate);
// The backend is gone (or going) after this diagnostic: a connection state, or FATAL or PANIC.
bool EndsBackend(const PgDiagnostic& diagnostic);
// A connection is lost or refused: such a diagnostic's SQLSTATE or, without one, UNAVAILABLE.
bool IsConnectionError(const Error& error);

}  // namespace multigres::mterrors
