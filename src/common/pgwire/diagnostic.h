// ErrorResponse and NoticeResponse (manual, "Error and Notice Message Fields").
#pragma once

#include <string_view>

#include "common/pgwire/wire_writer.h"
#include "tools/result/error.h"

namespace multigres::pgwire {

// `type` is kErrorResponse or kNoticeResponse. The severity is V's, the one that isn't translated (S's if the server
// sends no V). F, L, R and unknown fields are dropped. 08P01 `invalid ErrorResponse message`.
Result<PgDiagnostic> ReadDiagnostic(char type, std::string_view body);

// Error or notice by message_type. S and V both carry the severity.
void WriteDiagnostic(WireWriter& out, const PgDiagnostic& diagnostic);

// What a client is shown for an error: PostgreSQL's own diagnostic if it carries one (severity untouched), else its
// SQLSTATE (XX000 if it has none) and message with this severity.
PgDiagnostic DiagnosticOf(const Error& error, std::string_view severity = "ERROR");

// SQLSTATEs that mean a lost or refused connection: 08xxx, 57P01, 57P02, 57P03, 57P05.
bool IsConnectionState(std::string_view sqlstate);
// A connection is lost or refused: such a SQLSTATE or, without one, UNAVAILABLE.
bool IsConnectionError(const Error& error);

// FATAL or PANIC: the server closes the connection behind it.
bool EndsSession(const PgDiagnostic& diagnostic);

}  // namespace multigres::pgwire
