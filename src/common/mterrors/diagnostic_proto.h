// PostgreSQL's diagnostics between their two forms.
#pragma once

#include "tools/result/error.h"

namespace query {
class PgDiagnostic;
}

namespace multigres::mterrors {

// Texts stay byte by byte what they are, in the client's encoding.
void ToProto(const PgDiagnostic& diagnostic, ::query::PgDiagnostic& proto);
// A message_type that is none counts as an error's.
PgDiagnostic FromProto(const ::query::PgDiagnostic& proto);

}  // namespace multigres::mterrors
